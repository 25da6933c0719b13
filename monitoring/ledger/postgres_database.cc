#include <libpq-fe.h>
#include <poll.h>

#include <charconv>
#include <optional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "monitoring/ledger/sql_database.h"

namespace moesaic::monitoring {
namespace {

/// A statement, or a connection being made, that takes longer is given up: the records wait in the
/// queue file, and a stopping router does not wait for a server that hangs.
constexpr absl::Duration kStatementTimeout = absl::Seconds(10);
constexpr char kConnectTimeoutS[] = "5";
/// Any number that nobody else's advisory locks use: "moesaic" in ASCII.
constexpr std::int64_t kSchemaLock = 0x6d6f6573616963;

// Type numbers of results, from PostgreSQL's pg_type.dat.
constexpr Oid kInt2 = 21, kInt4 = 23, kInt8 = 20, kFloat4 = 700, kFloat8 = 701, kNumeric = 1700;

using Result = std::unique_ptr<PGresult, decltype(&PQclear)>;

class PostgresDatabase final : public SqlDatabase {
 public:
  explicit PostgresDatabase(const std::string& url) : shown_(WithoutPassword(url)) {}
  ~PostgresDatabase() override { PQfinish(connection_); }

  absl::Status Connect(const std::string& url) {
    const char* keys[] = {"dbname", "connect_timeout", "application_name", "client_encoding",
                          nullptr};
    const char* values[] = {url.c_str(), kConnectTimeoutS, "moesaic", "UTF8", nullptr};
    connection_ = PQconnectdbParams(keys, values, /*expand_dbname=*/1);
    if (PQstatus(connection_) != CONNECTION_OK) return Unavailable();
    PQsetnonblocking(connection_, 1);
    PQsetNoticeProcessor(
        connection_, [](void*, const char*) {}, nullptr);
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<SqlRow>> Execute(std::string_view statement,
                                              absl::Span<const SqlValue> parameters) override {
    std::vector<std::string> texts;
    std::vector<const char*> values;
    texts.reserve(parameters.size());
    for (const SqlValue& value : parameters) {
      std::optional<std::string> text = ToText(value);
      texts.push_back(text.value_or(""));
      values.push_back(text ? texts.back().c_str() : nullptr);
    }
    if (PQsendQueryParams(connection_, std::string(statement).c_str(),
                          static_cast<int>(values.size()), nullptr, values.data(), nullptr, nullptr,
                          /*resultFormat=*/0) == 0) {
      return Unavailable();
    }
    const absl::Duration until = base::Clock::Real().Monotonic() + kStatementTimeout;
    MOESAIC_RETURN_IF_ERROR(Flush(until));
    Result last(nullptr, PQclear);
    for (;;) {
      MOESAIC_RETURN_IF_ERROR(AwaitResult(until));
      Result result(PQgetResult(connection_), PQclear);
      if (result == nullptr) break;
      last = std::move(result);
    }
    return ToRows(last.get());
  }

  absl::Status BeginExclusive() override {
    MOESAIC_RETURN_IF_ERROR(SqlDatabase::Execute("BEGIN").status());
    return Execute("SELECT pg_advisory_xact_lock($1::bigint)", {SqlValue(kSchemaLock)}).status();
  }

 private:
  static std::optional<std::string> ToText(const SqlValue& value) {
    if (const auto* integer = std::get_if<std::int64_t>(&value)) return absl::StrCat(*integer);
    if (const auto* text = std::get_if<std::string>(&value)) return *text;
    if (const auto* real = std::get_if<double>(&value)) {
      char digits[64];  // the shortest text that reads back as the same number
      const auto end = std::to_chars(digits, digits + sizeof digits, *real).ptr;
      return std::string(digits, end);
    }
    return std::nullopt;
  }

  static SqlValue FromText(Oid type, const std::string& text) {
    std::int64_t integer = 0;
    double real = 0;
    const bool is_integer = type == kInt2 || type == kInt4 || type == kInt8;
    const bool is_real = type == kFloat4 || type == kFloat8 || type == kNumeric;
    if (is_integer && absl::SimpleAtoi(text, &integer)) return integer;
    if (is_real && absl::SimpleAtod(text, &real)) return real;
    return text;
  }

  absl::Status Poll(short events, absl::Duration until) {
    pollfd socket = {PQsocket(connection_), events, 0};
    const absl::Duration left = until - base::Clock::Real().Monotonic();
    if (left <= absl::ZeroDuration() ||
        ::poll(&socket, 1, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1) == 0) {
      return absl::UnavailableError(absl::StrCat("ledger ", shown_, " does not answer"));
    }
    return absl::OkStatus();
  }

  absl::Status Flush(absl::Duration until) {
    for (;;) {
      const int left = PQflush(connection_);
      if (left < 0) return Unavailable();
      if (left == 0) return absl::OkStatus();
      MOESAIC_RETURN_IF_ERROR(Poll(POLLIN | POLLOUT, until));
      if (PQconsumeInput(connection_) == 0) return Unavailable();
    }
  }

  absl::Status AwaitResult(absl::Duration until) {
    while (PQisBusy(connection_) != 0) {
      MOESAIC_RETURN_IF_ERROR(Poll(POLLIN, until));
      if (PQconsumeInput(connection_) == 0) return Unavailable();
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<SqlRow>> ToRows(const PGresult* result) const {
    if (result == nullptr) return Unavailable();
    const ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK) return std::vector<SqlRow>();
    if (status != PGRES_TUPLES_OK) return ResultError(result);
    std::vector<SqlRow> rows(static_cast<std::size_t>(PQntuples(result)));
    for (int i = 0; i < static_cast<int>(rows.size()); ++i) {
      rows[i].resize(static_cast<std::size_t>(PQnfields(result)));
      for (int j = 0; j < static_cast<int>(rows[i].size()); ++j) {
        if (PQgetisnull(result, i, j) != 0) continue;
        rows[i][j] = FromText(PQftype(result, j),
                              std::string(PQgetvalue(result, i, j),
                                          static_cast<std::size_t>(PQgetlength(result, i, j))));
      }
    }
    return rows;
  }

  absl::Status ResultError(const PGresult* result) const {
    const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const std::string code = state != nullptr ? state : "";
    const char* primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const std::string message =
        absl::StrCat("ledger ", shown_, ": ", primary != nullptr ? primary : "lost", " ", code);
    // Classes of SQLSTATE: 22 data exception, 23 integrity constraint, 54 a value too large to be
    // indexed; 08 connection, 40 rollback, 53 resources, 55 object in use, 57 operator
    // intervention, 58 system.
    const std::string type = code.substr(0, 2);
    for (const char* row_is_bad : {"22", "23", "54"}) {
      if (type == row_is_bad) return absl::InvalidArgumentError(message);
    }
    for (const char* passing : {"", "08", "40", "53", "55", "57", "58"}) {
      if (type == passing) return absl::UnavailableError(message);
    }
    return absl::FailedPreconditionError(message);
  }

  absl::Status Unavailable() const {
    std::string message = PQerrorMessage(connection_);
    absl::StripAsciiWhitespace(&message);
    return absl::UnavailableError(absl::StrCat("ledger ", shown_, ": ", message));
  }

  const std::string shown_;
  PGconn* connection_ = nullptr;
};

}  // namespace

absl::Status CheckPostgresUrl(const std::string& url) {
  // libpq's own message would show the address, and with it the password.
  PQconninfoOption* options = PQconninfoParse(url.c_str(), nullptr);
  if (options == nullptr) return absl::InvalidArgumentError("not an address that libpq can read");
  PQconninfoFree(options);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<SqlDatabase>> OpenPostgres(const std::string& url,
                                                          SqlAccess access) {
  auto database = std::make_unique<PostgresDatabase>(url);
  MOESAIC_RETURN_IF_ERROR(database->Connect(url));
  if (access == SqlAccess::kRead) {
    MOESAIC_RETURN_IF_ERROR(
        database->SqlDatabase::Execute("SET default_transaction_read_only = on").status());
  }
  return database;
}

}  // namespace moesaic::monitoring
