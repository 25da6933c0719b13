#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace moesaic::http {

/// The parts of "http://host[:port][/prefix]". Plain value.
struct Url {
  std::string host;    ///< An IPv6 address without its brackets.
  std::string port;    ///< 1 to 65535.
  std::string prefix;  ///< Empty, or begins with '/' and does not end with one.
};

/// Errors: InvalidArgument for anything else than such a URL.
absl::StatusOr<Url> ParseUrl(std::string_view url);

}  // namespace moesaic::http
