#include "monitoring/ledger/ledger_schema.h"

#include <array>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace moesaic::monitoring {
namespace {

/// Statements that lead from one version to the next; those that were ever released stay as they
/// are. Times are microseconds of the Unix epoch, days are UTC.
const std::array<std::vector<std::string_view>, kLedgerVersion>& Steps() {
  static const auto* const kSteps = new std::array<std::vector<std::string_view>, kLedgerVersion>{{
      // 1: requests.
      {R"(CREATE TABLE usage (
            id TEXT PRIMARY KEY,
            tenant TEXT NOT NULL,
            model TEXT NOT NULL,
            router TEXT NOT NULL,
            endpoint TEXT NOT NULL,
            outcome TEXT NOT NULL,
            day TEXT NOT NULL,
            started_us BIGINT NOT NULL,
            finished_us BIGINT NOT NULL,
            prompt_tokens BIGINT NOT NULL,
            cached_prompt_tokens BIGINT NOT NULL,
            generated_tokens BIGINT NOT NULL,
            queue_seconds DOUBLE PRECISION NOT NULL,
            prefill_seconds DOUBLE PRECISION NOT NULL,
            decode_seconds DOUBLE PRECISION NOT NULL,
            first_token_seconds DOUBLE PRECISION,
            prefill_router_seconds DOUBLE PRECISION NOT NULL,
            prefill_shard_seconds DOUBLE PRECISION NOT NULL,
            prefill_unpriced_seconds DOUBLE PRECISION NOT NULL,
            prefill_cost DOUBLE PRECISION NOT NULL,
            decode_router_seconds DOUBLE PRECISION NOT NULL,
            decode_shard_seconds DOUBLE PRECISION NOT NULL,
            decode_unpriced_seconds DOUBLE PRECISION NOT NULL,
            decode_cost DOUBLE PRECISION NOT NULL,
            currency TEXT NOT NULL))",
       "CREATE INDEX usage_finished ON usage (finished_us)"},
      // 2: the time of processes, and which trace a request belongs to.
      {R"(CREATE TABLE node_time (
            id TEXT PRIMARY KEY,
            process TEXT NOT NULL,
            role TEXT NOT NULL,
            node TEXT NOT NULL,
            node_type TEXT NOT NULL,
            capacity_type TEXT NOT NULL,
            node_share DOUBLE PRECISION NOT NULL,
            day TEXT NOT NULL,
            start_us BIGINT NOT NULL,
            end_us BIGINT NOT NULL,
            alive_seconds DOUBLE PRECISION NOT NULL,
            busy_seconds DOUBLE PRECISION NOT NULL,
            cost DOUBLE PRECISION,
            currency TEXT NOT NULL))",
       "CREATE INDEX node_time_end ON node_time (end_us)",
       "ALTER TABLE usage ADD COLUMN trace_id TEXT NOT NULL DEFAULT ''"},
  }};
  return *kSteps;
}

absl::StatusOr<std::int64_t> VersionInTable(SqlDatabase& database) {
  MOESAIC_ASSIGN_OR_RETURN(
      const std::vector<SqlRow> rows,
      database.Execute("SELECT COALESCE(MAX(version), 0) FROM ledger_versions"));
  const auto* version = rows.empty() ? nullptr : std::get_if<std::int64_t>(&rows[0][0]);
  if (version == nullptr) return absl::FailedPreconditionError("ledger_versions is damaged");
  return *version;
}

absl::Status RunSteps(SqlDatabase& database, std::int64_t target) {
  MOESAIC_RETURN_IF_ERROR(
      database.Execute("CREATE TABLE IF NOT EXISTS ledger_versions (version BIGINT PRIMARY KEY)")
          .status());
  MOESAIC_ASSIGN_OR_RETURN(const std::int64_t found, VersionInTable(database));
  if (found > kLedgerVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("the ledger has version ", found, ", this program knows ", kLedgerVersion));
  }
  for (std::int64_t version = found + 1; version <= target; ++version) {
    for (const std::string_view statement : Steps()[version - 1]) {
      MOESAIC_RETURN_IF_ERROR(database.Execute(statement).status());
    }
    MOESAIC_RETURN_IF_ERROR(
        database.Execute("INSERT INTO ledger_versions (version) VALUES ($1)", {SqlValue(version)})
            .status());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::int64_t> ReadLedgerVersion(SqlDatabase& database) {
  // A catalogue that both have in common does not exist: ask, and take "no such table" as 0.
  absl::StatusOr<std::int64_t> version = VersionInTable(database);
  if (absl::IsFailedPrecondition(version.status())) return 0;
  return version;
}

absl::Status MigrateLedgerTo(SqlDatabase& database, std::int64_t version) {
  MOESAIC_RETURN_IF_ERROR(database.BeginExclusive());
  const absl::Status status = RunSteps(database, version);
  if (!status.ok()) {
    database.Execute("ROLLBACK").IgnoreError();
    return status;
  }
  return database.Execute("COMMIT").status();
}

absl::Status MigrateLedger(SqlDatabase& database) {
  return MigrateLedgerTo(database, kLedgerVersion);
}

}  // namespace moesaic::monitoring
