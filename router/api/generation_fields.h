#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "router/api/json.h"

namespace moesaic::router {

/// What chat and text completions have in common, as the client wrote it: types and ranges are
/// checked, defaults are not filled in. Plain value.
struct GenerationFields {
  std::string model;  ///< Empty: the one served.
  std::string user;   ///< Names the tenant when no header does.
  int n = 1;
  bool stream = false;
  std::optional<bool> include_usage;

  std::optional<int> max_tokens;
  int min_tokens = 0;
  std::vector<std::string> stop;
  std::vector<std::int32_t> stop_token_ids;
  bool ignore_eos = false;

  std::optional<float> temperature;
  std::optional<float> top_p;
  std::optional<int> top_k;
  std::optional<float> min_p;
  std::optional<float> repetition_penalty;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  std::optional<std::uint64_t> seed;
  std::vector<std::pair<std::int32_t, float>> logit_bias;

  /// Log-probabilities of generated tokens with this many alternatives. Set by the two APIs from
  /// fields of their own.
  std::optional<int> top_logprobs;
  bool return_token_ids = false;
  bool return_routed_experts = false;
  bool stream_routed_experts = false;
  std::vector<std::int32_t> replay_routed_experts;

  int unknown_fields = 0;
};

/// Reads `value` if `name` is one of these fields and says so in `known`. Errors name the field.
absl::Status ReadGenerationField(std::string_view name, const Json& value, GenerationFields& fields,
                                 bool& known);

/// Checks that span several fields.
absl::Status CheckGenerationFields(const GenerationFields& fields);

}  // namespace moesaic::router
