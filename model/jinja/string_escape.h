#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace moesaic::model::jinja {

/// The value of the inside of a Python string literal. Errors: InvalidArgument for a broken escape.
absl::StatusOr<std::string> UnescapePythonString(std::string_view text);

/// Appends repr(text): quoted, with what cannot be printed escaped.
void AppendPythonRepr(std::string_view text, std::string& out);

/// Appends a JSON string as Python's json.dumps writes it.
void AppendJsonString(std::string_view text, bool ensure_ascii, std::string& out);

/// repr of a float: the shortest digits that read back as the same value.
std::string FormatPythonFloat(double value);

}  // namespace moesaic::model::jinja
