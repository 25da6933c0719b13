#include "router/admission/request_limits.h"

#include <algorithm>
#include <cstddef>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "http/error_map.h"

namespace moesaic::router {
namespace {

absl::Status CheckTokens(absl::Span<const std::int32_t> tokens, const char* field, int vocab_size) {
  for (const std::int32_t token : tokens) {
    if (token < 0 || token >= vocab_size) {
      return http::WithParam(
          absl::InvalidArgumentError(absl::StrCat(field, ": token id ", token,
                                                  " is outside the vocabulary of ", vocab_size)),
          field);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckLength(const GenerationRequest& request, const GenerationLimits& limits) {
  const std::int64_t prompt = static_cast<std::int64_t>(request.prompt_token_ids.size());
  const std::int64_t total = prompt + request.max_tokens;
  if (total > limits.max_model_len) {
    return http::WithErrorCode(
        absl::InvalidArgumentError(absl::StrCat(
            "the prompt has ", prompt, " tokens and ", request.max_tokens,
            " are to be generated, but the context length is ", limits.max_model_len, " tokens")),
        "context_length_exceeded");
  }
  if (MaxKvTokens(request) > limits.kv_capacity_tokens) {
    return http::WithErrorCode(absl::InvalidArgumentError(absl::StrCat(
                                   "the prompt has ", prompt, " tokens and ", request.max_tokens,
                                   " are to be generated, but the KV cache of this router holds ",
                                   limits.kv_capacity_tokens, " tokens")),
                               "context_length_exceeded");
  }
  return absl::OkStatus();
}

absl::Status CheckTopLogprobs(std::optional<int> top, const char* field, int most) {
  if (!top || (*top >= 0 && *top <= most)) return absl::OkStatus();
  return http::WithParam(absl::InvalidArgumentError(absl::StrCat(
                             field, ": ", *top, " alternatives are outside [0, ", most, "]")),
                         field);
}

absl::Status CheckReplay(const GenerationRequest& request, const RequestBounds& bounds) {
  const std::size_t width = static_cast<std::size_t>(bounds.moe_layers) * bounds.top_k;
  const std::vector<std::int32_t>& replay = request.replay_routed_experts;
  if (replay.empty()) return absl::OkStatus();
  if (width == 0 || replay.size() % width != 0) {
    return absl::InvalidArgumentError(absl::StrCat("replay_routed_experts: ", replay.size(),
                                                   " entries are no multiple of ", width));
  }
  for (auto row = replay.begin(); row != replay.end(); row += bounds.top_k) {
    for (auto expert = row; expert != row + bounds.top_k; ++expert) {
      if (*expert < 0 || *expert >= bounds.num_experts ||
          std::find(row, expert, *expert) != expert) {
        return absl::InvalidArgumentError(
            absl::StrCat("replay_routed_experts: expert ", *expert,
                         " does not exist or comes twice for a token"));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

int MaxKvTokens(const GenerationRequest& request) {
  return static_cast<int>(request.prompt_token_ids.size()) + std::max(0, request.max_tokens - 1);
}

absl::Status CheckRequest(const GenerationRequest& request, const RequestBounds& bounds) {
  if (request.prompt_token_ids.empty()) {
    return http::WithParam(absl::InvalidArgumentError("the prompt is empty"), "prompt");
  }
  if (request.max_tokens < 0 || request.min_tokens < 0) {
    return absl::InvalidArgumentError("max_tokens and min_tokens must not be negative");
  }
  if (request.resume_token_ids.size() > static_cast<std::size_t>(request.max_tokens)) {
    return absl::InvalidArgumentError("resume_token_ids are more than max_tokens");
  }
  // The length first: the loops below are then bounded by the context length.
  MOESAIC_RETURN_IF_ERROR(CheckLength(request, bounds.limits));
  const int vocab_size = bounds.limits.vocab_size;
  MOESAIC_RETURN_IF_ERROR(CheckTokens(request.prompt_token_ids, "prompt", vocab_size));
  MOESAIC_RETURN_IF_ERROR(CheckTokens(request.resume_token_ids, "resume_token_ids", vocab_size));
  for (const auto& [token, bias] : request.sampling.logit_bias) {
    MOESAIC_RETURN_IF_ERROR(CheckTokens({&token, 1}, "logit_bias", vocab_size));
  }
  MOESAIC_RETURN_IF_ERROR(
      CheckTopLogprobs(request.top_logprobs, "logprobs", bounds.max_top_logprobs));
  MOESAIC_RETURN_IF_ERROR(
      CheckTopLogprobs(request.prompt_top_logprobs, "prompt_logprobs", bounds.max_top_logprobs));
  return CheckReplay(request, bounds);
}

}  // namespace moesaic::router
