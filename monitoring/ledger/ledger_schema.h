#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "monitoring/ledger/sql_database.h"

namespace moesaic::monitoring {

/// Version this program writes and reads. The database says its own in table ledger_versions.
inline constexpr std::int64_t kLedgerVersion = 2;

/// Version of a database; 0 when it has no ledger yet.
absl::StatusOr<std::int64_t> ReadLedgerVersion(SqlDatabase& database);

/// Brings a database to kLedgerVersion, step by step in one transaction; several processes may try
/// at once. Errors: FailedPrecondition when a newer program has changed it already.
absl::Status MigrateLedger(SqlDatabase& database);
/// The same up to `version` only: an older program's database, for tests.
absl::Status MigrateLedgerTo(SqlDatabase& database, std::int64_t version);

}  // namespace moesaic::monitoring
