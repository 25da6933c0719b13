#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "model/json_spec.h"
#include "model/regex.h"

namespace moesaic::model {

/// Reads {"String": text} or {"Regex": pattern}. Errors name the key; an empty string is one.
absl::StatusOr<Regex> ParsePattern(const JsonSpec& spec);

/// Reads a string of one character.
absl::StatusOr<std::string> ReadCharacter(const JsonSpec& spec);

/// Replaces every match of `pattern` in `text` by `content`, which is taken literally.
/// Errors: ResourceExhausted when a match exceeds its limits.
absl::Status ReplaceAll(const Regex& pattern, std::string_view content, std::string& text);

}  // namespace moesaic::model
