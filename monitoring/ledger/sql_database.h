#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace moesaic::monitoring {

/// NULL, BIGINT, DOUBLE PRECISION or TEXT.
using SqlValue = std::variant<std::monostate, std::int64_t, double, std::string>;
using SqlRow = std::vector<SqlValue>;

/// One connection to a database. Statements are of the SQL that SQLite and PostgreSQL share, with
/// parameters $1, $2, …; values are never pasted into them. After an error other than
/// InvalidArgument the connection is of no more use. Thread-compatible.
class SqlDatabase {
 public:
  virtual ~SqlDatabase() = default;
  /// Runs one statement and returns what it selects. Errors: InvalidArgument when the values are
  /// not acceptable, whoever tries; Unavailable when the database cannot be reached or is busy;
  /// FailedPrecondition for anything else it says.
  virtual absl::StatusOr<std::vector<SqlRow>> Execute(std::string_view statement,
                                                      absl::Span<const SqlValue> parameters) = 0;
  /// Begins a transaction that only one connection can have at a time: for changes of the schema.
  virtual absl::Status BeginExclusive() = 0;

  absl::StatusOr<std::vector<SqlRow>> Execute(std::string_view statement) {
    return Execute(statement, {});
  }
};

enum class SqlAccess {
  kReadWrite,  ///< Makes the database when it is a file that is not there.
  kRead,
};

/// Opens sqlite:PATH or postgresql://… (also postgres://…, as libpq reads it). Errors:
/// InvalidArgument for another address; NotFound for a file that is not there; those of Execute.
/// Messages do not show passwords.
absl::StatusOr<std::unique_ptr<SqlDatabase>> OpenSqlDatabase(const std::string& url,
                                                             SqlAccess access);
/// OK for an address OpenSqlDatabase takes; else InvalidArgument.
absl::Status CheckLedgerUrl(std::string_view url);
/// `url` without its password, for people.
std::string WithoutPassword(std::string_view url);

absl::StatusOr<std::unique_ptr<SqlDatabase>> OpenSqlite(const std::string& path, SqlAccess access);
absl::StatusOr<std::unique_ptr<SqlDatabase>> OpenPostgres(const std::string& url, SqlAccess access);
/// InvalidArgument when libpq cannot read it.
absl::Status CheckPostgresUrl(const std::string& url);

}  // namespace moesaic::monitoring
