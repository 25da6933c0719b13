#include "http/listen_address.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace moesaic::http {

absl::StatusOr<ListenAddress> ParseListenAddress(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  std::uint32_t port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(text.substr(colon + 1), &port) ||
      port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("'", text, "' is not host:port"));
  }
  return ListenAddress{text.substr(0, colon), static_cast<std::uint16_t>(port)};
}

std::string DialableAddress(const std::string& bound, const std::string& reachable) {
  const absl::StatusOr<ListenAddress> here = ParseListenAddress(bound);
  const absl::StatusOr<ListenAddress> there = ParseListenAddress(reachable);
  if (!here.ok() || !there.ok() || there->host.empty()) return bound;
  if (here->host != "0.0.0.0" && here->host != "::") return bound;
  return absl::StrCat(there->host, ":", here->port);
}

}  // namespace moesaic::http
