#include "monitoring/ledger/ledger_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "monitoring/ledger/ledger_schema.h"

namespace moesaic::monitoring {
namespace {

/// Rows of one statement: far below the parameters a statement may have (SQLite 32766, PostgreSQL
/// 65535), and enough that a distant database is not asked row by row.
constexpr std::size_t kRowsPerStatement = 50;

/// One table's columns and the values of a row, in the same order.
struct Insertion {
  const char* table;
  const char* columns;
  std::vector<SqlRow> rows;
};

std::string Day(absl::Time time) { return absl::FormatTime("%Y-%m-%d", time, absl::UTCTimeZone()); }

SqlValue OrNull(const std::optional<double>& value) {
  return value ? SqlValue(*value) : SqlValue(std::monostate());
}

constexpr char kUsageColumns[] =
    "id, trace_id, tenant, model, router, endpoint, outcome, day, started_us, finished_us, "
    "prompt_tokens, cached_prompt_tokens, generated_tokens, queue_seconds, prefill_seconds, "
    "decode_seconds, first_token_seconds, prefill_router_seconds, prefill_shard_seconds, "
    "prefill_unpriced_seconds, prefill_cost, decode_router_seconds, decode_shard_seconds, "
    "decode_unpriced_seconds, decode_cost, currency";

SqlRow ToSql(const UsageRecord& usage) {
  return {usage.id,
          usage.trace_id,
          usage.tenant,
          usage.model,
          usage.router,
          usage.endpoint,
          std::string(RequestOutcomeName(usage.outcome)),
          Day(usage.finished),
          absl::ToUnixMicros(usage.started),
          absl::ToUnixMicros(usage.finished),
          usage.prompt_tokens,
          usage.cached_prompt_tokens,
          usage.generated_tokens,
          usage.queue_seconds,
          usage.prefill_seconds,
          usage.decode_seconds,
          OrNull(usage.first_token_seconds),
          usage.prefill.router_seconds,
          usage.prefill.shard_seconds,
          usage.prefill.unpriced_seconds,
          usage.prefill.cost,
          usage.decode.router_seconds,
          usage.decode.shard_seconds,
          usage.decode.unpriced_seconds,
          usage.decode.cost,
          usage.currency};
}

constexpr char kNodeTimeColumns[] =
    "id, process, role, node, node_type, capacity_type, node_share, day, start_us, end_us, "
    "alive_seconds, busy_seconds, cost, currency";

SqlRow ToSql(const NodeTime& time) {
  return {time.id,
          time.process,
          time.role,
          time.node,
          time.share.price_class,
          time.share.capacity_type,
          time.share.share,
          Day(time.end),
          absl::ToUnixMicros(time.start),
          absl::ToUnixMicros(time.end),
          time.alive_seconds,
          time.busy_seconds,
          OrNull(time.cost),
          time.currency};
}

/// "($1, $2), ($3, $4)"
std::string Placeholders(std::size_t rows, std::size_t columns) {
  std::vector<std::string> tuples;
  std::size_t number = 0;
  for (std::size_t row = 0; row < rows; ++row) {
    std::vector<std::string> names;
    for (std::size_t column = 0; column < columns; ++column) {
      names.push_back(absl::StrCat("$", ++number));
    }
    tuples.push_back(absl::StrCat("(", absl::StrJoin(names, ", "), ")"));
  }
  return absl::StrJoin(tuples, ", ");
}

absl::Status Insert(SqlDatabase& database, const Insertion& insertion) {
  for (std::size_t first = 0; first < insertion.rows.size(); first += kRowsPerStatement) {
    const std::size_t count = std::min(kRowsPerStatement, insertion.rows.size() - first);
    std::vector<SqlValue> values;
    for (std::size_t i = first; i < first + count; ++i) {
      values.insert(values.end(), insertion.rows[i].begin(), insertion.rows[i].end());
    }
    const std::string statement =
        absl::StrCat("INSERT INTO ", insertion.table, " (", insertion.columns, ") VALUES ",
                     Placeholders(count, insertion.rows[0].size()), " ON CONFLICT (id) DO NOTHING");
    MOESAIC_RETURN_IF_ERROR(database.Execute(statement, values).status());
  }
  return absl::OkStatus();
}

/// Takes a row's values one after the other; NULL and other types read as 0 or "".
class RowReader {
 public:
  explicit RowReader(const SqlRow& row) : row_(row) {}
  RowReader& operator>>(std::string& to) {
    const auto* text = std::get_if<std::string>(&row_[next_++]);
    to = text != nullptr ? *text : "";
    return *this;
  }
  RowReader& operator>>(std::int64_t& to) {
    const auto* integer = std::get_if<std::int64_t>(&row_[next_++]);
    to = integer != nullptr ? *integer : 0;
    return *this;
  }
  RowReader& operator>>(double& to) {
    const SqlValue& value = row_[next_++];
    const auto* integer = std::get_if<std::int64_t>(&value);
    const auto* real = std::get_if<double>(&value);
    to = real != nullptr ? *real : integer != nullptr ? static_cast<double>(*integer) : 0;
    return *this;
  }

 private:
  const SqlRow& row_;
  std::size_t next_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<LedgerStore>> LedgerStore::Open(const std::string& url,
                                                               SqlAccess access) {
  MOESAIC_ASSIGN_OR_RETURN(std::unique_ptr<SqlDatabase> database, OpenSqlDatabase(url, access));
  if (access == SqlAccess::kReadWrite) {
    MOESAIC_RETURN_IF_ERROR(MigrateLedger(*database));
  } else {
    MOESAIC_ASSIGN_OR_RETURN(const std::int64_t version, ReadLedgerVersion(*database));
    if (version != kLedgerVersion) {
      return absl::FailedPreconditionError(absl::StrCat(
          WithoutPassword(url), " has ledger version ", version, ", this program reads ",
          kLedgerVersion, "; a router that writes to it brings it up to date"));
    }
  }
  return std::unique_ptr<LedgerStore>(new LedgerStore(std::move(database)));
}

absl::Status LedgerStore::Store(absl::Span<const LedgerRow> rows) {
  MOESAIC_RETURN_IF_ERROR(database_->Execute("BEGIN").status());
  const absl::Status status = InsertAll(rows);
  if (!status.ok()) {
    database_->Execute("ROLLBACK").IgnoreError();
    return status;
  }
  return database_->Execute("COMMIT").status();
}

absl::Status LedgerStore::InsertAll(absl::Span<const LedgerRow> rows) {
  Insertion usage{"usage", kUsageColumns, {}};
  Insertion node_time{"node_time", kNodeTimeColumns, {}};
  for (const LedgerRow& row : rows) {
    if (const auto* record = std::get_if<UsageRecord>(&row)) {
      usage.rows.push_back(ToSql(*record));
    } else {
      node_time.rows.push_back(ToSql(std::get<NodeTime>(row)));
    }
  }
  MOESAIC_RETURN_IF_ERROR(Insert(*database_, usage));
  return Insert(*database_, node_time);
}

absl::StatusOr<std::vector<UsageSum>> LedgerStore::SumUsage(absl::Time from, absl::Time to) {
  MOESAIC_ASSIGN_OR_RETURN(
      const std::vector<SqlRow> rows,
      database_->Execute(
          "SELECT day, tenant, model, currency, CAST(COUNT(*) AS BIGINT), "
          "CAST(SUM(CASE WHEN outcome = 'ok' THEN 0 ELSE 1 END) AS BIGINT), "
          "CAST(SUM(prompt_tokens) AS BIGINT), CAST(SUM(cached_prompt_tokens) AS BIGINT), "
          "CAST(SUM(generated_tokens) AS BIGINT), "
          "SUM(prefill_router_seconds + prefill_shard_seconds), "
          "SUM(decode_router_seconds + decode_shard_seconds), "
          "SUM(prefill_unpriced_seconds + decode_unpriced_seconds), "
          "SUM(prefill_cost), SUM(decode_cost) "
          "FROM usage WHERE finished_us >= $1 AND finished_us < $2 "
          "GROUP BY day, tenant, model, currency ORDER BY day, tenant, model, currency",
          {SqlValue(absl::ToUnixMicros(from)), SqlValue(absl::ToUnixMicros(to))}));
  std::vector<UsageSum> sums;
  for (const SqlRow& row : rows) {
    UsageSum& sum = sums.emplace_back();
    RowReader(row) >> sum.day >> sum.tenant >> sum.model >> sum.currency >> sum.requests >>
        sum.failed >> sum.prompt_tokens >> sum.cached_prompt_tokens >> sum.generated_tokens >>
        sum.prefill_machine_seconds >> sum.decode_machine_seconds >> sum.unpriced_seconds >>
        sum.prefill_cost >> sum.decode_cost;
  }
  return sums;
}

absl::StatusOr<std::vector<NodeTimeSum>> LedgerStore::SumNodeTime(absl::Time from, absl::Time to) {
  MOESAIC_ASSIGN_OR_RETURN(
      const std::vector<SqlRow> rows,
      database_->Execute(
          "SELECT day, node_type, capacity_type, currency, SUM(alive_seconds), SUM(busy_seconds), "
          "SUM(CASE WHEN cost IS NULL THEN alive_seconds ELSE 0 END), COALESCE(SUM(cost), 0), "
          "SUM(CASE WHEN cost IS NULL OR alive_seconds <= 0 THEN 0 "
          "ELSE cost * busy_seconds / alive_seconds END) "
          "FROM node_time WHERE end_us >= $1 AND end_us < $2 "
          "GROUP BY day, node_type, capacity_type, currency "
          "ORDER BY day, node_type, capacity_type, currency",
          {SqlValue(absl::ToUnixMicros(from)), SqlValue(absl::ToUnixMicros(to))}));
  std::vector<NodeTimeSum> sums;
  for (const SqlRow& row : rows) {
    NodeTimeSum& sum = sums.emplace_back();
    RowReader(row) >> sum.day >> sum.node_type >> sum.capacity_type >> sum.currency >>
        sum.alive_seconds >> sum.busy_seconds >> sum.unpriced_seconds >> sum.cost >> sum.busy_cost;
  }
  return sums;
}

}  // namespace moesaic::monitoring
