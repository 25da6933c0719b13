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

}  // namespace moesaic::http
