#pragma once

#include <string_view>

#include "absl/strings/string_view.h"

namespace moesaic::base {

/// Debian's Abseil is built with its own string_view; these two are the only conversions.
inline absl::string_view ToAbsl(std::string_view s) { return {s.data(), s.size()}; }
inline std::string_view ToStd(absl::string_view s) { return {s.data(), s.size()}; }

}  // namespace moesaic::base
