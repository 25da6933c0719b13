#pragma once

#include <string>
#include <string_view>

namespace moesaic::base {

/// Appends `bytes` as a JSON string with its quotes. Whatever the bytes, the result is valid JSON
/// in valid UTF-8 on one line: control characters are escaped, and so is the line separator of
/// Unicode; each byte that is no part of valid UTF-8 becomes U+FFFD.
void AppendJsonString(std::string_view bytes, std::string& out);

/// Appends a number as JSON; what JSON cannot say (infinities, NaN) becomes null.
void AppendJsonNumber(double value, std::string& out);

}  // namespace moesaic::base
