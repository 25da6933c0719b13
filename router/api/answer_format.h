#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "model/tokenizer.h"
#include "router/api/generation_call.h"
#include "router/api/json.h"

namespace moesaic::router {

/// What the objects of one answer have in common, and what the client asked to see. Plain value.
struct AnswerContext {
  std::string id;
  std::int64_t created_unix_s = 0;
  std::string model;
  std::string system_fingerprint;
  const model::Tokenizer* tokenizer = nullptr;

  int choices = 1;
  int choices_per_prompt = 1;
  bool include_usage = false;  ///< In a stream: a usage chunk at the end.
  bool logprobs = false;
  bool return_token_ids = false;
  bool stream_routed_experts = false;  ///< In a stream: each chunk has the experts of its tokens.
  bool reasoning = false;              ///< Answers are divided into reasoning and content.
  bool degraded = false;               ///< Say how many tokens of a choice lacked experts.
  /// By prompt; used for return_token_ids and echoed log-probabilities.
  std::vector<std::vector<std::int32_t>> prompt_token_ids;
  int moe_layers = 0;
  int experts_per_token = 0;
};

/// Turns the progress of a call into OpenAI's objects: either chunk by chunk or all at once.
/// Single-thread.
class AnswerFormat {
 public:
  virtual ~AnswerFormat() = default;
  /// The chunks to stream for `delta`, possibly none.
  virtual std::vector<Json> Chunks(const ChoiceDelta& delta) = 0;
  /// The last chunk of a stream, with include_usage.
  virtual Json UsageChunk(const CallUsage& usage) const = 0;
  /// Collects `delta` for Whole.
  virtual void Collect(ChoiceDelta delta) = 0;
  /// The answer to a request that does not stream.
  virtual Json Whole(const CallUsage& usage) const = 0;
};

/// id, object, created, model and system_fingerprint.
Json AnswerHead(const AnswerContext& context, std::string_view object);
/// OpenAI's usage with DeepSeek's cache counters.
Json UsageJson(const CallUsage& usage);
/// Adds what is said at the end of a choice: finish_reason, null before that, and with it
/// degraded_tokens where the context asks for it.
void AddFinish(const AnswerContext& context, const std::optional<FinishReason>& reason,
               int degraded_tokens, Json& choice);
/// Adds routed_experts, the base64 of little-endian int32 [tokens, MoE layers, top-k], and
/// routed_experts_shape; nothing when there are none.
void AddRoutedExperts(const AnswerContext& context, absl::Span<const std::int32_t> experts,
                      Json& choice);

}  // namespace moesaic::router
