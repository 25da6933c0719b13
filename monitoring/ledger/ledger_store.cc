#include "monitoring/ledger/ledger_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "monitoring/ledger/ledger_fields.h"
#include "monitoring/ledger/ledger_schema.h"

namespace moesaic::monitoring {
namespace {

/// Rows of one statement: far below the parameters a statement may have (SQLite 32766, PostgreSQL
/// 65535), and enough that a distant database is not asked row by row.
constexpr std::size_t kRowsPerStatement = 50;

std::string Day(absl::Time time) { return absl::FormatTime("%Y-%m-%d", time, absl::UTCTimeZone()); }

SqlValue ToSql(const std::string& value) { return value; }
SqlValue ToSql(std::int64_t value) { return value; }
SqlValue ToSql(double value) { return value; }
SqlValue ToSql(const std::optional<double>& value) {
  return value ? SqlValue(*value) : SqlValue(std::monostate());
}
SqlValue ToSql(absl::Time value) { return absl::ToUnixMicros(value); }
SqlValue ToSql(RequestOutcome value) { return std::string(RequestOutcomeName(value)); }

/// A record as its table has it: takes its fields as columns and their values.
struct TableRow {
  std::vector<const char*> columns;
  SqlRow values;

  template <typename Value>
  void operator()(const char* column, const Value& value) {
    columns.push_back(column);
    values.push_back(ToSql(value));
  }
};

template <typename Record>
TableRow ToTableRow(const Record& record, absl::Time end) {
  TableRow row;
  VisitFields(row, record);
  row("day", Day(end));
  return row;
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

absl::Status Insert(SqlDatabase& database, const char* table, absl::Span<const TableRow> rows) {
  for (std::size_t first = 0; first < rows.size(); first += kRowsPerStatement) {
    const auto some = rows.subspan(first, kRowsPerStatement);
    std::vector<SqlValue> values;
    for (const TableRow& row : some) {
      values.insert(values.end(), row.values.begin(), row.values.end());
    }
    const std::string statement = absl::StrCat(
        "INSERT INTO ", table, " (", absl::StrJoin(some[0].columns, ", "), ") VALUES ",
        Placeholders(some.size(), some[0].columns.size()), " ON CONFLICT (id) DO NOTHING");
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
  std::vector<TableRow> usage, node_time;
  for (const LedgerRow& row : rows) {
    if (const auto* record = std::get_if<UsageRecord>(&row)) {
      usage.push_back(ToTableRow(*record, record->finished));
    } else {
      const NodeTime& time = std::get<NodeTime>(row);
      node_time.push_back(ToTableRow(time, time.end));
    }
  }
  MOESAIC_RETURN_IF_ERROR(Insert(*database_, "usage", usage));
  return Insert(*database_, "node_time", node_time);
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
