#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace moesaic::router {

/// JSON of requests and answers. Ordered: templates print objects in the order they came in, and
/// people read answers in the order we write them.
using Json = nlohmann::ordered_json;

/// Parses the body of a request, an object. Bounded before anything is built, so that no body
/// within the server's size limit costs more than a constant times its bytes: nesting 64, 2 million
/// values, 100 000 object keys in all and 1024 in one object (lookups are linear).
/// Errors: InvalidArgument for what is not UTF-8, not JSON, not an object, or beyond a bound.
absl::StatusOr<Json> ParseRequestBody(std::string_view body);

/// Prints on one line. Requires nothing of the strings: bytes that are not UTF-8 print as U+FFFD.
std::string Print(const Json& json);

/// A log-probability as JSON: the f32 as the double it equals, printed so that it round-trips;
/// -9999 below that, where OpenAI clients expect no infinity.
Json LogprobJson(float logprob);

}  // namespace moesaic::router
