#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "kernels/sampling.h"
#include "monitoring/trace_context.h"
#include "router/engine/step_times.h"
#include "router/scheduler/generation.h"
#include "router/trace/step_timeline.h"

namespace moesaic::router {

/// How to choose the token after a slice's last position.
struct SampleSpec {
  kernels::SamplingInput input;     ///< Borrows.
  std::optional<int> top_logprobs;  ///< GenerationRequest::top_logprobs.
};

/// Log-probabilities wanted of given tokens: targets[i] after the slice's row first_row + i.
struct ScoreSpec {
  std::int32_t first_row = 0;
  absl::Span<const std::int32_t> targets;
  int top = 0;
};

/// Consecutive positions of one sequence that one step computes.
struct StepSlice {
  absl::Span<const std::int32_t> tokens;  ///< Token ids at these positions, not empty.
  std::int32_t first_position = 0;
  /// Positions below it are prompt (naive MLA, prefill lane); the others were generated (absorbed
  /// MLA, decode lane), also when they are computed again.
  std::int32_t prompt_length = 0;
  /// KV blocks of the sequence, covering the slice's last position.
  absl::Span<const std::int32_t> block_table;
  absl::Duration deadline = absl::InfiniteDuration();  ///< Monotonic.
  std::optional<SampleSpec> sample;
  std::optional<ScoreSpec> score;
  /// Expert choices to use for the slice's leading positions, [positions, MoE layers, top-k].
  absl::Span<const std::int32_t> replay_routing;
  bool record_routing = false;
  const monitoring::TraceId* trace_id = nullptr;  ///< The shards are to be told of it.
};

/// What one step computes. Everything borrowed stays valid and unchanged until the step is done.
struct StepBatch {
  /// Not empty, of distinct sequences; within the engine's max_step_tokens and max_num_seqs.
  std::vector<StepSlice> slices;
  int micro_batches = 1;  ///< ≥ 1; slices are divided among at most this many.
  std::shared_ptr<StepTimeline> timeline = {};  ///< Sees the step; may be null.
};

/// What became of a slice. When `status` is not OK, the rest is unspecified, and so is what the
/// step wrote to the sequence's KV blocks.
struct SliceResult {
  absl::Status status;
  std::int32_t token = -1;            ///< Chosen token, when `sample` was set.
  TokenLogprob logprob;               ///< Of `token`, when asked for.
  std::vector<TokenLogprob> scores;   ///< One per target, when `score` was set.
  std::vector<std::int32_t> routing;  ///< [tokens, MoE layers, top-k] by descending weight.
  std::int32_t degraded_tokens = 0;   ///< Of its tokens, how many lacked experts in some layer.
  SliceWork work;                     ///< Of the shards; also of a slice that failed.
};

struct StepResult {
  std::vector<SliceResult> slices;  ///< As in the batch.
  StepTimes times;                  ///< Also of a step that failed.
  std::int64_t experts = 0;         ///< Distinct experts chosen, summed over layers.
  int micro_batches = 1;            ///< The slices were divided among so many.
};

/// Computes steps, one at a time. Called on the scheduler's loop thread only.
class StepRunner {
 public:
  virtual ~StepRunner() = default;
  /// Starts the step and returns; `done` runs once, later, on the loop thread.
  /// Requires: no step is in flight.
  virtual void Run(StepBatch batch, absl::AnyInvocable<void(StepResult)> done) = 0;
  /// OK when a step started now could be computed. Thread-safe.
  virtual absl::Status Ready() const = 0;
};

}  // namespace moesaic::router
