#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "router/engine/step_batch.h"
#include "router/scheduler/batch_former.h"
#include "router/scheduler/generation.h"

namespace moesaic::router {

/// Token facts that are the same for all sequences.
struct TokenRules {
  std::vector<std::int32_t> eos_token_ids;
  /// MoE layers × top-k: entries of one position's routing.
  std::int32_t routing_width = 0;
};

/// One generation from its admission to the queue to its last event: the request, the tokens so
/// far, how many of them are in the KV cache, and what is to be reported. Single-thread.
class Sequence {
 public:
  /// `rules` must outlive it. `now` is the time of submission (monotonic).
  Sequence(std::uint64_t handle, GenerationRequest request, Generator::Sink sink,
           const TokenRules& rules, absl::Duration now);

  std::uint64_t handle() const { return handle_; }
  absl::Duration deadline() const { return request_.deadline; }
  absl::Duration submitted() const { return submitted_; }
  const std::shared_ptr<WorkMeter>& meter() const { return request_.meter; }
  std::uint64_t prompt_bytes() const { return sizeof(std::int32_t) * prompt_length(); }
  RequestTrace* trace() const { return request_.trace.get(); }
  SequenceSnapshot Snapshot() const;
  /// KV blocks held, in the order of positions. The scheduler fills and empties it.
  std::vector<std::int32_t>& block_table() { return block_table_; }

  /// It enters the running set. Returns whether for the first time.
  bool Start(absl::Duration now);
  bool started() const { return started_ != absl::InfiniteDuration(); }
  /// Forgets what was computed (its blocks are gone); everything reported stays reported.
  void Preempt() { computed_ = 0; }

  /// Describes the next `tokens` positions; the slice borrows from this sequence.
  StepSlice MakeSlice(std::int32_t tokens) const;
  /// Takes in what the engine made of that slice. Returns whether the generation has ended.
  bool Absorb(std::int32_t tokens, SliceResult result, absl::Duration now);
  /// Ends it with `status`.
  void Fail(absl::Status status, absl::Duration now);
  /// Sends what has happened since the last report, if anything.
  void Report();

  bool in_step = false;    ///< A step in flight borrows from it.
  bool cancelled = false;  ///< Nobody listens any more.

 private:
  std::int32_t prompt_length() const {
    return static_cast<std::int32_t>(request_.prompt_token_ids.size());
  }
  std::int32_t generated() const {
    return static_cast<std::int32_t>(tokens_.size()) - prompt_length();
  }
  bool WantsToken() const { return generated() < request_.max_tokens; }
  bool IsStopToken(std::int32_t token) const;
  std::optional<ScoreSpec> PromptScores(std::int32_t tokens) const;
  SampleSpec Sampling() const;
  bool HasPenalty() const;
  void KeepRouting(std::int32_t tokens, const std::vector<std::int32_t>& routing);
  /// Appends the chosen token to `event` and decides whether the generation ends with it.
  void Take(SliceResult& result, absl::Duration now, GenerationEvent& event);
  void Finish(GenerationEvent& event, absl::Duration now);

  const std::uint64_t handle_;
  const GenerationRequest request_;
  Generator::Sink sink_;
  std::optional<GenerationEvent> unreported_;
  const TokenRules& rules_;
  std::vector<std::int32_t> banned_;  // stop tokens, never chosen before min_tokens
  std::vector<kernels::LogitBias> logit_bias_;
  kernels::TokenHistory history_;     // kept only where a penalty is set
  std::vector<std::int32_t> tokens_;  // prompt, then generated
  std::int32_t computed_ = 0;
  std::vector<std::int32_t> block_table_;
  std::vector<TokenLogprob> prompt_logprobs_;
  std::int32_t prompt_scored_ = 0;     // entries of prompt_logprobs_ made so far, reported or not
  std::vector<std::int32_t> routing_;  // [positions computed, routing_width]
  int degraded_tokens_ = 0;
  const absl::Duration submitted_;
  absl::Duration started_ = absl::InfiniteDuration();
  absl::Duration first_token_ = absl::InfiniteDuration();
};

}  // namespace moesaic::router
