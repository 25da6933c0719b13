#include "model/json_reader.h"

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace moesaic::model {

using base::ToAbsl;
using nlohmann::json;

absl::StatusOr<json> ParseJsonObject(std::string_view text, std::string_view path) {
  json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) {
    return absl::InvalidArgumentError(absl::StrCat(ToAbsl(path), ": not valid JSON"));
  }
  if (!parsed.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(ToAbsl(path), ": not a JSON object"));
  }
  return parsed;
}

const json* JsonReader::Value(std::string_view key) const {
  const auto it = object_.find(key);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

void JsonReader::Fail(absl::StatusCode code, std::string_view key, std::string_view problem) {
  if (!status_.ok()) return;
  status_ = absl::Status(code, absl::StrCat(where_, ": ", ToAbsl(key), ": ", ToAbsl(problem)));
}

void JsonReader::Invalid(std::string_view key, std::string_view problem) {
  Fail(absl::StatusCode::kInvalidArgument, key, problem);
}

void JsonReader::Unsupported(std::string_view key, std::string_view problem) {
  Fail(absl::StatusCode::kUnimplemented, key, problem);
}

std::int64_t JsonReader::CheckedInt(std::string_view key, const json& value, std::int64_t min,
                                    std::int64_t max) {
  // An unsigned value above INT64_MAX would wrap in get<int64_t>().
  const bool fits = value.is_number_integer() &&
                    (!value.is_number_unsigned() ||
                     value.get<std::uint64_t>() <=
                         static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
  const std::int64_t number = fits ? value.get<std::int64_t>() : min;
  if (!fits || number < min || number > max) {
    Invalid(key, absl::StrCat("must be an integer from ", min, " to ", max));
    return min;
  }
  return number;
}

std::int64_t JsonReader::Int(std::string_view key, std::int64_t min, std::int64_t max) {
  if (!Has(key)) Invalid(key, "missing");
  return Int(key, min, max, min);
}

std::int64_t JsonReader::Int(std::string_view key, std::int64_t min, std::int64_t max,
                             std::int64_t fallback) {
  return OptionalInt(key, min, max).value_or(fallback);
}

std::optional<std::int64_t> JsonReader::OptionalInt(std::string_view key, std::int64_t min,
                                                    std::int64_t max) {
  const json* value = Value(key);
  if (value == nullptr) return std::nullopt;
  return CheckedInt(key, *value, min, max);
}

double JsonReader::Number(std::string_view key, double min, double max) {
  if (!Has(key)) Invalid(key, "missing");
  return Number(key, min, max, min);
}

double JsonReader::Number(std::string_view key, double min, double max, double fallback) {
  return OptionalNumber(key, min, max).value_or(fallback);
}

std::optional<double> JsonReader::OptionalNumber(std::string_view key, double min, double max) {
  const json* value = Value(key);
  if (value == nullptr) return std::nullopt;
  const double number = value->is_number() ? value->get<double>() : std::nan("");
  if (number >= min && number <= max) return number;
  Invalid(key, absl::StrCat("must be a number from ", min, " to ", max));
  return min;
}

bool JsonReader::Bool(std::string_view key, bool fallback) {
  return OptionalBool(key).value_or(fallback);
}

std::optional<bool> JsonReader::OptionalBool(std::string_view key) {
  const json* value = Value(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_boolean()) return value->get<bool>();
  Invalid(key, "must be true or false");
  return std::nullopt;
}

std::string JsonReader::String(std::string_view key, std::string_view fallback) {
  const json* value = Value(key);
  if (value == nullptr) return std::string(fallback);
  if (value->is_string()) return value->get<std::string>();
  Invalid(key, "must be a string");
  return std::string(fallback);
}

std::vector<std::int64_t> JsonReader::Ints(std::string_view key, std::int64_t min, std::int64_t max,
                                           bool or_single) {
  const json* value = Value(key);
  if (value == nullptr) return {};
  if (or_single && value->is_number()) return {CheckedInt(key, *value, min, max)};
  std::vector<std::int64_t> numbers;
  if (!value->is_array()) {
    Invalid(key,
            or_single ? "must be an integer or a list of integers" : "must be a list of integers");
    return numbers;
  }
  for (const json& element : *value) numbers.push_back(CheckedInt(key, element, min, max));
  return numbers;
}

std::vector<std::string> JsonReader::Strings(std::string_view key) {
  const json* value = Value(key);
  std::vector<std::string> strings;
  if (value == nullptr) return strings;
  if (!value->is_array()) Invalid(key, "must be a list of strings");
  for (const json& element : *value) {
    if (element.is_string()) {
      strings.push_back(element.get<std::string>());
    } else {
      Invalid(key, "must be a list of strings");
    }
  }
  return strings;
}

std::optional<JsonReader> JsonReader::Object(std::string_view key) {
  const json* value = Value(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_object()) {
    return std::optional<JsonReader>(std::in_place, *value, absl::StrCat(where_, ": ", ToAbsl(key)),
                                     status_);
  }
  Invalid(key, "must be an object");
  return std::nullopt;
}

}  // namespace moesaic::model
