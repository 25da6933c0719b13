#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "monitoring/ledger/ledger_row.h"
#include "monitoring/ledger/sql_database.h"

namespace moesaic::monitoring {

/// Requests of one day, tenant, model and currency, summed. Plain value.
struct UsageSum {
  std::string day;  ///< "2026-01-31", UTC, when they finished.
  std::string tenant;
  std::string model;
  std::string currency;  ///< Empty = no price list was used.
  std::int64_t requests = 0;
  std::int64_t failed = 0;  ///< Of them, not ok.
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_prompt_tokens = 0;
  std::int64_t generated_tokens = 0;
  double prefill_machine_seconds = 0;
  double decode_machine_seconds = 0;
  double unpriced_seconds = 0;  ///< Of both.
  double prefill_cost = 0;
  double decode_cost = 0;
};

/// Time of processes of one day, node type, capacity type and currency, summed. Plain value.
struct NodeTimeSum {
  std::string day;
  std::string node_type;
  std::string capacity_type;
  std::string currency;
  double alive_seconds = 0;
  double busy_seconds = 0;
  double unpriced_seconds = 0;  ///< Of alive_seconds.
  double cost = 0;              ///< Of the priced time.
  double busy_cost = 0;         ///< Of it, while busy.
};

/// The ledger in its database: rows in, sums out. Thread-compatible.
class LedgerStore {
 public:
  /// For writing the schema is brought up to date. Errors: those of OpenSqlDatabase;
  /// FailedPrecondition when the schema is newer than this program, or too old to be read.
  static absl::StatusOr<std::unique_ptr<LedgerStore>> Open(const std::string& url,
                                                           SqlAccess access);

  /// Adds the rows that are not there yet, all or none. Errors as SqlDatabase::Execute.
  absl::Status Store(absl::Span<const LedgerRow> rows);

  /// Sums over [from, to), by what each UsageSum names; ascending by those names.
  absl::StatusOr<std::vector<UsageSum>> SumUsage(absl::Time from, absl::Time to);
  absl::StatusOr<std::vector<NodeTimeSum>> SumNodeTime(absl::Time from, absl::Time to);

 private:
  explicit LedgerStore(std::unique_ptr<SqlDatabase> database) : database_(std::move(database)) {}
  absl::Status InsertAll(absl::Span<const LedgerRow> rows);

  const std::unique_ptr<SqlDatabase> database_;
};

}  // namespace moesaic::monitoring
