#include <sqlite3.h>

#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "monitoring/ledger/sql_database.h"

namespace moesaic::monitoring {
namespace {

/// Readers and the other processes of a machine keep a database for milliseconds.
constexpr int kBusyTimeoutMs = 5000;

class SqliteDatabase final : public SqlDatabase {
 public:
  explicit SqliteDatabase(std::string path) : path_(std::move(path)) {}
  ~SqliteDatabase() override { sqlite3_close(database_); }

  absl::Status Open(SqlAccess access) {
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    if (access == SqlAccess::kReadWrite) flags |= SQLITE_OPEN_CREATE;
    const int result = sqlite3_open_v2(path_.c_str(), &database_, flags, nullptr);
    if (result == SQLITE_CANTOPEN && access == SqlAccess::kRead) {
      return absl::NotFoundError(absl::StrCat("no ledger at ", path_));
    }
    if (result != SQLITE_OK) return Error(result);
    sqlite3_busy_timeout(database_, kBusyTimeoutMs);
    if (access == SqlAccess::kRead) return absl::OkStatus();
    // A log of its own lets `moesaic usage` read meanwhile; FULL syncs it at every commit.
    MOESAIC_RETURN_IF_ERROR(KeepLog());
    return SqlDatabase::Execute("PRAGMA synchronous = FULL").status();
  }

  absl::StatusOr<std::vector<SqlRow>> Execute(std::string_view text,
                                              absl::Span<const SqlValue> parameters) override {
    sqlite3_stmt* statement = nullptr;
    int result = sqlite3_prepare_v2(database_, text.data(), static_cast<int>(text.size()),
                                    &statement, nullptr);
    absl::Cleanup finalize = [&statement] { sqlite3_finalize(statement); };
    if (result != SQLITE_OK) return Error(result);
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const int index = sqlite3_bind_parameter_index(statement, absl::StrCat("$", i + 1).c_str());
      result = Bind(statement, index, parameters[i]);
      if (result != SQLITE_OK) return Error(result);
    }
    std::vector<SqlRow> rows;
    while ((result = sqlite3_step(statement)) == SQLITE_ROW) rows.push_back(ReadRow(statement));
    if (result != SQLITE_DONE) return Error(result);
    return rows;
  }

  absl::Status BeginExclusive() override {
    return SqlDatabase::Execute("BEGIN IMMEDIATE").status();
  }

 private:
  /// Two processes that turn a new database over to its log at once do not wait for each other:
  /// SQLite tells one of them at once that the database is locked, whatever its timeout.
  absl::Status KeepLog() {
    constexpr int kPauseMs = 10;
    for (int waited = 0;; waited += kPauseMs) {
      const absl::Status status = SqlDatabase::Execute("PRAGMA journal_mode = WAL").status();
      if (sqlite3_errcode(database_) != SQLITE_BUSY || waited >= kBusyTimeoutMs) return status;
      sqlite3_sleep(kPauseMs);
    }
  }

  static int Bind(sqlite3_stmt* statement, int index, const SqlValue& value) {
    if (const auto* integer = std::get_if<std::int64_t>(&value)) {
      return sqlite3_bind_int64(statement, index, *integer);
    }
    if (const auto* real = std::get_if<double>(&value)) {
      return sqlite3_bind_double(statement, index, *real);
    }
    if (const auto* text = std::get_if<std::string>(&value)) {
      return sqlite3_bind_text(statement, index, text->data(), static_cast<int>(text->size()),
                               SQLITE_TRANSIENT);
    }
    return sqlite3_bind_null(statement, index);
  }

  static SqlRow ReadRow(sqlite3_stmt* statement) {
    SqlRow row(static_cast<std::size_t>(sqlite3_column_count(statement)));
    for (int i = 0; i < static_cast<int>(row.size()); ++i) {
      switch (sqlite3_column_type(statement, i)) {
        case SQLITE_INTEGER:
          row[i] = std::int64_t{sqlite3_column_int64(statement, i)};
          break;
        case SQLITE_FLOAT:
          row[i] = sqlite3_column_double(statement, i);
          break;
        case SQLITE_NULL:
          break;
        default:
          row[i] = std::string(reinterpret_cast<const char*>(sqlite3_column_text(statement, i)),
                               static_cast<std::size_t>(sqlite3_column_bytes(statement, i)));
      }
    }
    return row;
  }

  absl::Status Error(int result) const {
    const std::string message = absl::StrCat(
        "ledger ", path_, ": ", database_ != nullptr ? sqlite3_errmsg(database_) : "no memory");
    switch (result & 0xff) {
      case SQLITE_BUSY:
      case SQLITE_LOCKED:
      case SQLITE_FULL:
      case SQLITE_IOERR:
      case SQLITE_CANTOPEN:
        return absl::UnavailableError(message);
      case SQLITE_CONSTRAINT:
      case SQLITE_MISMATCH:
      case SQLITE_TOOBIG:
        return absl::InvalidArgumentError(message);
      default:
        return absl::FailedPreconditionError(message);
    }
  }

  const std::string path_;
  sqlite3* database_ = nullptr;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SqlDatabase>> OpenSqlite(const std::string& path, SqlAccess access) {
  auto database = std::make_unique<SqliteDatabase>(path);
  MOESAIC_RETURN_IF_ERROR(database->Open(access));
  return database;
}

}  // namespace moesaic::monitoring
