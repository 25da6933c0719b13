#include "router/api/call_plan.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "http/error_map.h"
#include "router/api/fields.h"

namespace moesaic::router {
namespace {

SamplingParams ResolveSampling(const GenerationFields& fields, const PlanContext& context) {
  const model::GenerationConfig& config = context.generation_config;
  SamplingParams sampling;
  sampling.temperature = fields.temperature.value_or(config.temperature.value_or(1.0f));
  sampling.top_p = fields.top_p.value_or(config.top_p.value_or(1.0f));
  sampling.top_k = std::max(0, fields.top_k.value_or(config.top_k.value_or(0)));
  sampling.min_p = fields.min_p.value_or(config.min_p.value_or(0.0f));
  sampling.repetition_penalty =
      fields.repetition_penalty.value_or(config.repetition_penalty.value_or(1.0f));
  sampling.presence_penalty = fields.presence_penalty;
  sampling.frequency_penalty = fields.frequency_penalty;
  sampling.seed = fields.seed.value_or(context.fallback_seed);
  sampling.logit_bias = fields.logit_bias;
  return sampling;
}

/// max_tokens of a prompt of this length, within the context.
absl::StatusOr<int> ResolveMaxTokens(const GenerationFields& fields, std::size_t prompt_tokens,
                                     const PlanContext& context) {
  const std::int64_t room = context.limits.max_model_len - static_cast<std::int64_t>(prompt_tokens);
  std::int64_t wanted = 0;
  if (fields.max_tokens) {
    wanted = *fields.max_tokens;
  } else {
    wanted = std::max<std::int64_t>(room, 1);
    const auto& configured = context.generation_config.max_new_tokens;
    if (configured && *configured > 0) wanted = std::min(wanted, *configured);
    wanted = std::max<std::int64_t>(wanted, fields.min_tokens);
  }
  if (wanted > room) {
    return http::WithErrorCode(absl::InvalidArgumentError(absl::StrCat(
                                   "the prompt has ", prompt_tokens, " tokens and ", wanted,
                                   " are to be generated, but the context length is ",
                                   context.limits.max_model_len, " tokens")),
                               "context_length_exceeded");
  }
  return static_cast<int>(wanted);
}

absl::Status NeedsOption(std::string_view field) {
  return NameField(http::WithErrorCode(absl::InvalidArgumentError("is not enabled on this server"),
                                       "unsupported_parameter"),
                   field);
}

absl::Status CheckOptions(const GenerationFields& fields, std::size_t prompts,
                          const PlanContext& context) {
  if (fields.return_routed_experts && !context.enable_return_routed_experts) {
    return NeedsOption("return_routed_experts");
  }
  if (fields.stream_routed_experts && !context.enable_return_routed_experts) {
    return NeedsOption("stream_routed_experts");
  }
  if (!fields.replay_routed_experts.empty() && !context.enable_replay_routed_experts) {
    return NeedsOption("replay_routed_experts");
  }
  if (prompts * fields.n > static_cast<std::size_t>(context.max_choices)) {
    return NameField(absl::InvalidArgumentError(absl::StrCat("times the number of prompts must be ",
                                                             "at most ", context.max_choices)),
                     "n");
  }
  return absl::OkStatus();
}

/// What all generations of a call share.
GenerationRequest MakePrototype(const GenerationFields& fields, const PlanContext& context) {
  GenerationRequest prototype;
  prototype.request_id = context.request_id;
  prototype.tenant = context.tenant;
  prototype.resume_token_ids = context.resume_token_ids;
  prototype.min_tokens = fields.min_tokens;
  prototype.sampling = ResolveSampling(fields, context);
  prototype.stop_token_ids = fields.stop_token_ids;
  prototype.ignore_eos = fields.ignore_eos;
  prototype.top_logprobs = fields.top_logprobs;
  prototype.prompt_top_logprobs = context.prompt_top_logprobs;
  prototype.return_routed_experts = fields.return_routed_experts;
  prototype.stream_routed_experts = fields.stream_routed_experts;
  prototype.replay_routed_experts = fields.replay_routed_experts;
  prototype.deadline = context.arrived + context.timeout;
  return prototype;
}

}  // namespace

absl::StatusOr<CallPlan> MakeCallPlan(const GenerationFields& fields,
                                      const std::vector<std::vector<std::int32_t>>& prompts,
                                      const PlanContext& context) {
  MOESAIC_RETURN_IF_ERROR(CheckOptions(fields, prompts.size(), context));
  CallPlan plan;
  plan.choices_per_prompt = fields.n;
  plan.stop = fields.stop;
  plan.arrived = context.arrived;
  plan.usage_id = context.usage_id;
  plan.request_id = context.request_id;
  plan.trace_context = context.trace_context;
  plan.tenant = context.tenant;
  plan.endpoint = context.endpoint;
  GenerationRequest generation = MakePrototype(fields, context);
  for (const std::vector<std::int32_t>& prompt : prompts) {
    MOESAIC_ASSIGN_OR_RETURN(generation.max_tokens,
                             ResolveMaxTokens(fields, prompt.size(), context));
    generation.prompt_token_ids = prompt;
    for (int choice = 0; choice < fields.n; ++choice) {
      generation.choice = choice;
      plan.generations.push_back(generation);
    }
  }
  return plan;
}

}  // namespace moesaic::router
