#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace moesaic::base {

/// Length of the longest end of `text` that is a proper beginning of `pattern`: what has to be held
/// back until more text tells whether `pattern` stands there.
inline std::size_t OpenSuffix(std::string_view text, std::string_view pattern) {
  if (pattern.empty()) return 0;
  std::size_t length = std::min(pattern.size() - 1, text.size());
  while (text.substr(text.size() - length) != pattern.substr(0, length)) --length;
  return length;
}

}  // namespace moesaic::base
