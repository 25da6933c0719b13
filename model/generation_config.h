#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace moesaic::model {

/// Sampling defaults of a checkpoint; a request's own values go first, the API's defaults last.
/// Absent keys stay empty. Plain value.
struct GenerationConfig {
  std::optional<bool> do_sample;  ///< false means greedy.
  std::optional<float> temperature;
  std::optional<int> top_k;  ///< 0: no limit.
  std::optional<float> top_p;
  std::optional<float> min_p;
  std::optional<float> repetition_penalty;
  std::optional<std::int64_t> max_new_tokens;
  std::optional<std::int64_t> bos_token_id;
  std::optional<std::int64_t> pad_token_id;
  std::vector<std::int64_t> eos_token_ids;  ///< Empty: use the ids of config.json.
};

/// Parses generation_config.json. `path` only names the file in messages; unknown keys are ignored.
/// Errors: InvalidArgument naming path and key.
absl::StatusOr<GenerationConfig> ParseGenerationConfig(std::string_view json,
                                                       std::string_view path);

}  // namespace moesaic::model
