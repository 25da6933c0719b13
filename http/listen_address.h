#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace moesaic::http {

/// Where a server is to listen: an IP address, and a port (0 = any free one).
struct ListenAddress {
  std::string host;
  std::uint16_t port = 0;
};

/// Splits "host:port". Errors: InvalidArgument naming the text.
absl::StatusOr<ListenAddress> ParseListenAddress(const std::string& text);

/// What others are to dial for a server bound to `bound`, "host:port": that, or where it is bound
/// to every interface, its port on the host of `reachable`, an address of the same machine.
std::string DialableAddress(const std::string& bound, const std::string& reachable);

}  // namespace moesaic::http
