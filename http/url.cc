#include "http/url.h"

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace moesaic::http {

absl::StatusOr<Url> ParseUrl(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  const absl::Status malformed = absl::InvalidArgumentError(
      absl::StrCat("'", base::ToAbsl(url), "' is not a URL of the form http://host[:port][/path]"));
  if (url.substr(0, kScheme.size()) != kScheme) return malformed;
  std::string_view rest = url.substr(kScheme.size());
  const std::size_t slash = rest.find('/');
  std::string_view authority = rest.substr(0, slash);
  std::string prefix = slash == std::string_view::npos ? "" : std::string(rest.substr(slash));
  while (!prefix.empty() && prefix.back() == '/') prefix.pop_back();

  std::string_view port = "80";
  const std::size_t colon = authority.rfind(':');
  if (colon != std::string_view::npos && authority.back() != ']') {
    port = authority.substr(colon + 1);
    authority = authority.substr(0, colon);
  }
  if (authority.size() > 2 && authority.front() == '[' && authority.back() == ']') {
    authority = authority.substr(1, authority.size() - 2);
  }
  int port_number = 0;
  if (authority.empty() || !absl::SimpleAtoi(base::ToAbsl(port), &port_number) || port_number < 1 ||
      port_number > 65535) {
    return malformed;
  }
  return Url{std::string(authority), std::string(port), std::move(prefix)};
}

}  // namespace moesaic::http
