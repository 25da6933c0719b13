#include "router/api/answer_format.h"

#include <bit>

#include "absl/strings/escaping.h"

namespace moesaic::router {
namespace {

/// "stop", "length" or null.
Json FinishReasonJson(const std::optional<FinishReason>& reason) {
  if (!reason) return nullptr;
  return *reason == FinishReason::kStop ? "stop" : "length";
}

}  // namespace

Json AnswerHead(const AnswerContext& context, std::string_view object) {
  return {{"id", context.id},
          {"object", object},
          {"created", context.created_unix_s},
          {"model", context.model},
          {"system_fingerprint", context.system_fingerprint}};
}

Json UsageJson(const CallUsage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_prompt_tokens}}},
          {"completion_tokens_details", {{"reasoning_tokens", usage.reasoning_tokens}}},
          {"prompt_cache_hit_tokens", usage.cached_prompt_tokens},
          {"prompt_cache_miss_tokens", usage.prompt_tokens - usage.cached_prompt_tokens}};
}

void AddFinish(const AnswerContext& context, const std::optional<FinishReason>& reason,
               int degraded_tokens, Json& choice) {
  choice["finish_reason"] = FinishReasonJson(reason);
  if (reason && context.degraded) choice["degraded_tokens"] = degraded_tokens;
}

void AddRoutedExperts(const AnswerContext& context, absl::Span<const std::int32_t> experts,
                      Json& choice) {
  static_assert(std::endian::native == std::endian::little);
  const std::size_t per_token =
      static_cast<std::size_t>(context.moe_layers) * context.experts_per_token;
  if (experts.empty() || per_token == 0) return;
  choice["routed_experts"] = absl::Base64Escape(absl::string_view(
      reinterpret_cast<const char*>(experts.data()), experts.size() * sizeof(std::int32_t)));
  choice["routed_experts_shape"] = {experts.size() / per_token, context.moe_layers,
                                    context.experts_per_token};
}

}  // namespace moesaic::router
