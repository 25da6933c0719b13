#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "router/api/generation_fields.h"
#include "router/api/json.h"

namespace moesaic::router {

/// One prompt of a completion: text, or ids that are taken as they are (no BOS is added).
using CompletionPrompt = std::variant<std::string, std::vector<std::int32_t>>;

/// A body of /v1/completions. Plain value.
struct CompletionRequest : GenerationFields {
  std::vector<CompletionPrompt> prompts;  ///< At least one.
  bool echo = false;
};

/// Errors: InvalidArgument naming the field (http::ParamOf); code unsupported_parameter for fields
/// of the API that are not built.
absl::StatusOr<CompletionRequest> ParseCompletionRequest(const Json& body);

}  // namespace moesaic::router
