#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "model/jinja/runtime.h"
#include "model/jinja/value.h"
#include "nlohmann/json.hpp"

namespace moesaic::model::jinja {

/// Python's str(value): what {{ value }} prints. Errors: ResourceExhausted.
absl::StatusOr<std::string> ToText(Runtime& runtime, const Value& value);
/// Python's repr(value).
absl::StatusOr<std::string> ToRepr(Runtime& runtime, const Value& value);

/// Options of json.dumps.
struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  /// One level of indentation; nothing puts all on one line.
  std::optional<std::string> indent;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};

/// Python's json.dumps(value). Errors: InvalidArgument for what JSON cannot hold.
absl::StatusOr<std::string> ToJson(Runtime& runtime, const Value& value, const JsonStyle& style);

/// The value of a JSON document. Errors: ResourceExhausted for size or nesting, InvalidArgument for
/// an integer beyond 64 bits or text that is not UTF-8.
absl::StatusOr<Value> FromJson(Runtime& runtime, const nlohmann::ordered_json& json);

}  // namespace moesaic::model::jinja
