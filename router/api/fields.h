#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "router/api/json.h"

namespace moesaic::router {

/// A row of a table of request fields: reads `value` into `request`, or says what is wrong with it
/// as the end of a sentence about the field ("must be a string").
template <typename Request>
struct Field {
  std::string_view name;
  absl::Status (*read)(const Json& value, Request& request);
};

/// Puts the field's name into an error about its value, as message and as OpenAI's `param`. An
/// error that has a param already, being about a part of the value, stays as it is.
absl::Status NameField(const absl::Status& error, std::string_view field);

/// Reads `value` if the table has a field of this name, and says so in `known`. null counts as
/// absent, as OpenAI's clients send it. Errors name the field.
template <typename Request>
absl::Status ReadField(std::span<const Field<Request>> table, std::string_view name,
                       const Json& value, Request& request, bool& known) {
  for (const Field<Request>& field : table) {
    if (field.name != name) continue;
    known = true;
    if (value.is_null()) return absl::OkStatus();
    const absl::Status status = field.read(value, request);
    return status.ok() ? status : NameField(status, name);
  }
  return absl::OkStatus();
}

// Readers of single values. Errors: InvalidArgument, "must be …".
absl::Status ReadBool(const Json& value, bool& out);
absl::Status ReadString(const Json& value, std::string& out);
/// Whole numbers written as 3.0 are taken too.
absl::Status ReadInteger(const Json& value, std::int64_t min, std::int64_t max, std::int64_t& out);
absl::Status ReadFloat(const Json& value, float min, float max, float& out);
/// A list of at most `max_items` token ids; whether they exist is the scheduler's to say.
absl::Status ReadTokenIds(const Json& value, std::size_t max_items, std::vector<std::int32_t>& out);

/// ReadInteger into an int or an optional<int>.
template <typename Int>
absl::Status ReadInt(const Json& value, std::int64_t min, std::int64_t max, Int& out) {
  std::int64_t wide = 0;
  const absl::Status status = ReadInteger(value, min, max, wide);
  if (status.ok()) out = static_cast<int>(wide);
  return status;
}
inline absl::Status ReadFloat(const Json& value, float min, float max, std::optional<float>& out) {
  return ReadFloat(value, min, max, out.emplace());
}

/// For a field of the OpenAI, DeepSeek or vLLM API that is not built: 400 unsupported_parameter.
absl::Status Unsupported();
/// The same unless `value` is one that asks for nothing: false, 0, "", "none", [] or {}.
absl::Status UnsupportedUnlessNeutral(const Json& value);

}  // namespace moesaic::router
