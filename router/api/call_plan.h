#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "model/generation_config.h"
#include "router/api/generation_call.h"
#include "router/api/generation_fields.h"

namespace moesaic::router {

/// What, beside its fields, decides how a request is served.
struct PlanContext {
  const model::GenerationConfig& generation_config;
  GenerationLimits limits;
  bool enable_return_routed_experts = false;
  bool enable_replay_routed_experts = false;
  int max_choices = 1;
  std::string request_id;
  monitoring::TraceContext trace_context = {};
  std::string usage_id = {};  ///< As in CallPlan, like the two below.
  std::string tenant = "default";
  std::string endpoint = {};
  absl::Duration arrived;           ///< Monotonic.
  absl::Duration timeout;           ///< From `arrived`.
  std::uint64_t fallback_seed = 0;  ///< For a request without one.
  /// Log-probabilities of the prompt with this many alternatives.
  std::optional<int> prompt_top_logprobs = {};
  std::vector<std::int32_t> resume_token_ids = {};
};

/// Fills in every default (request > generation_config.json > API) and makes n generations of each
/// prompt. As in vLLM, only the values of generation_config.json count, not its do_sample; without
/// max_tokens a generation may go to the context limit.
/// Errors: InvalidArgument naming the field; code context_length_exceeded when prompt and
/// max_tokens do not fit the context.
absl::StatusOr<CallPlan> MakeCallPlan(const GenerationFields& fields,
                                      const std::vector<std::vector<std::int32_t>>& prompts,
                                      const PlanContext& context);

}  // namespace moesaic::router
