#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "router/trace/request_trace.h"

namespace moesaic::router {

class WorkMeter;

/// How the next token is chosen; every field resolved (request > generation_config > API default).
struct SamplingParams {
  float temperature = 1.0f;  ///< 0 = greedy.
  float top_p = 1.0f;
  int top_k = 0;  ///< 0 = all.
  float min_p = 0.0f;
  std::uint64_t seed = 0;
  float presence_penalty = 0.0f;
  float frequency_penalty = 0.0f;
  float repetition_penalty = 1.0f;
  std::vector<std::pair<std::int32_t, float>> logit_bias;  ///< (token id, added value)
};

/// One choice of one request, in token ids. `n` choices are `n` of these.
struct GenerationRequest {
  std::string request_id;
  std::string tenant;
  int choice = 0;  ///< Index among the request's choices; part of the randomness.
  std::vector<std::int32_t> prompt_token_ids;  ///< Not empty.
  /// Generated before (another router, a retry): recomputed as generated positions, not emitted.
  std::vector<std::int32_t> resume_token_ids;
  int max_tokens = 0;  ///< New tokens, resume_token_ids counted; 0 is allowed with prompt_logprobs.
  int min_tokens = 0;  ///< Stop and EOS tokens are not chosen before.
  SamplingParams sampling;
  std::vector<std::int32_t> stop_token_ids;  ///< Beside the checkpoint's EOS ids.
  bool ignore_eos = false;
  /// Log-probability of each generated token with this many alternatives (0 = the token alone).
  std::optional<int> top_logprobs;
  /// Log-probability of each prompt token with this many alternatives.
  std::optional<int> prompt_top_logprobs;
  bool return_routed_experts = false;  ///< Of the whole, in the last event.
  bool stream_routed_experts = false;  ///< Of each token, in the event that brings it.
  /// Replays this routing instead of the gate's choice, [tokens, MoE layers, top-k]; a test hook
  /// behind --enable-replay-routed-experts. Empty = off. Rows beyond its length use the gate.
  std::vector<std::int32_t> replay_routed_experts;
  absl::Duration deadline = absl::InfiniteDuration();  ///< Monotonic (base::Clock).
  std::shared_ptr<WorkMeter> meter = {};  ///< Adds up what it takes to compute; null: nobody asks.
  std::shared_ptr<RequestTrace> trace = {};  ///< Sees its steps; may be null.
};

struct TokenLogprob {
  std::int32_t token_id = 0;
  float logprob = 0.0f;                             ///< Natural log, of the raw logits in f32.
  std::vector<std::pair<std::int32_t, float>> top;  ///< Most likely first, ties to the lowest id.
};

enum class FinishReason { kStop, kLength };

/// What happened to a generation since its last event. Order per generation: prompt, tokens, end.
struct GenerationEvent {
  /// Once, before the first token, when asked for: entry i is about prompt token i + 1.
  std::vector<TokenLogprob> prompt_logprobs;
  /// New tokens, oldest first. A stop or EOS token that ended the generation is included and
  /// flagged by `last_is_stop_token`, so that the API can leave it out of the text.
  std::vector<std::int32_t> token_ids;
  std::vector<TokenLogprob> logprobs;  ///< One per token when asked for.
  bool last_is_stop_token = false;
  /// Set in the last event; `status` is then OK or says why the generation failed.
  bool finished = false;
  FinishReason finish_reason = FinishReason::kStop;
  absl::Status status;
  /// When streamed: [token_ids, MoE layers, top-k], the experts of the forward pass that each token
  /// was chosen after, by descending gate weight.
  std::vector<std::int32_t> token_experts;
  /// In the last event, when asked for: [prompt + generated - 1 (the last token has no forward
  /// pass), MoE layers, top-k], experts by descending gate weight.
  std::vector<std::int32_t> routed_experts;
  int cached_prompt_tokens = 0;
  /// Positions computed so far without some of their experts (degraded mode), of the prompt and
  /// generated; computed twice, they count twice. 0 = nothing was missing from what was reported.
  int degraded_tokens = 0;
  /// Seconds by phase, in the last event.
  absl::Duration queue_time;
  absl::Duration prefill_time;
  absl::Duration decode_time;
};

/// Static facts that the API needs for checks before it submits.
struct GenerationLimits {
  int max_model_len = 0;       ///< Prompt + generated tokens of one request.
  int kv_capacity_tokens = 0;  ///< What the whole KV cache holds.
  int vocab_size = 0;
};

/// The scheduler as the API sees it. Thread-safe.
class Generator {
 public:
  /// Receives events on the scheduler's loop thread; must not block.
  using Sink = absl::AnyInvocable<void(GenerationEvent)>;
  virtual ~Generator() = default;

  /// Queues a generation. Errors (the sink is then never called): InvalidArgument when it can never
  /// fit (context length, KV cache); ResourceExhausted when the waiting queue is full (with a
  /// retry delay, see base/retry_delay.h); Unavailable while draining.
  /// Returns a handle for Cancel.
  virtual absl::StatusOr<std::uint64_t> Submit(GenerationRequest request, Sink sink) = 0;
  /// Ends a generation within one step; its sink is not called any more once the loop has seen the
  /// cancellation. Unknown or finished handles are ignored.
  virtual void Cancel(std::uint64_t handle) = 0;
  virtual GenerationLimits limits() const = 0;
  /// OK when a request submitted now would be served; else Unavailable with the reason.
  virtual absl::Status Ready() const = 0;
};

}  // namespace moesaic::router
