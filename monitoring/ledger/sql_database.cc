#include "monitoring/ledger/sql_database.h"

#include "absl/strings/str_cat.h"

namespace moesaic::monitoring {
namespace {

constexpr std::string_view kSqlite = "sqlite:";

bool IsPostgres(std::string_view url) {
  return url.starts_with("postgresql://") || url.starts_with("postgres://");
}

}  // namespace

absl::Status CheckLedgerUrl(std::string_view url) {
  const bool is_sqlite = url.starts_with(kSqlite) && url.size() > kSqlite.size();
  if (is_sqlite) return absl::OkStatus();
  if (IsPostgres(url)) return CheckPostgresUrl(std::string(url));
  return absl::InvalidArgumentError(
      "a ledger is sqlite:PATH or postgresql://USER:PASSWORD@HOST:PORT/DATABASE");
}

absl::StatusOr<std::unique_ptr<SqlDatabase>> OpenSqlDatabase(const std::string& url,
                                                             SqlAccess access) {
  if (const absl::Status status = CheckLedgerUrl(url); !status.ok()) return status;
  return IsPostgres(url) ? OpenPostgres(url, access)
                         : OpenSqlite(url.substr(kSqlite.size()), access);
}

std::string WithoutPassword(std::string_view url) {
  const std::size_t authority = url.find("://");
  if (authority == std::string_view::npos) return std::string(url);
  // Parameters may hold one, too.
  std::string shown(url.substr(0, url.find('?')));
  const std::size_t start = authority + 3;
  const std::size_t at = shown.rfind('@');
  const std::size_t colon = shown.find(':', start);
  if (at == std::string::npos || at < start || colon == std::string::npos || colon > at) {
    return shown;
  }
  return absl::StrCat(shown.substr(0, colon), ":***", shown.substr(at));
}

}  // namespace moesaic::monitoring
