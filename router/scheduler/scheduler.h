#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/mutex.h"
#include "router/admission/request_limits.h"
#include "router/engine/step_batch.h"
#include "router/scheduler/batch_former.h"
#include "router/scheduler/generation.h"
#include "router/scheduler/kv_allocator.h"
#include "router/scheduler/scheduler_metrics.h"
#include "router/scheduler/sequence.h"
#include "router/scheduler/step_sample.h"
#include "router/scheduler/step_time_model.h"

namespace moesaic::router {

struct SchedulerOptions {
  RequestBounds bounds;  ///< kv_capacity_tokens is derived from the two below.
  std::int32_t kv_blocks = 0;
  int block_tokens = 16;
  int max_num_seqs = 64;      ///< Sequences computed at a time; lowered to max_step_tokens.
  int max_step_tokens = 512;  ///< Positions of one step.
  int max_queue = 256;        ///< Generations waiting for their first step.
  /// 1 or 2; nullopt = for each step what is predicted to be faster.
  std::optional<int> micro_batches;
  /// So many rows of prompts join those of generations that the step is predicted to take no more
  /// than this, or twice what the generations take alone.
  absl::Duration max_step_time = absl::InfiniteDuration();
  std::vector<std::int32_t> eos_token_ids;
  /// What a second of this process costs; nullopt = unknown, like an empty function.
  std::function<std::optional<double>()> price_per_second;
  SchedulerMetrics* metrics = nullptr;  ///< Borrowed; null: nothing is recorded.
  /// Sees every step when it is done, on the loop thread; must not block.
  std::function<void(const StepSample&)> on_step;
};

/// Continuous batching: queues generations, forms one step after another from them (FormBatch), has
/// the runner compute it, and reports tokens. Thread-safe; all state of sequences and KV blocks
/// belongs to the loop thread. Destroy after the loop has stopped.
class Scheduler final : public Generator {
 public:
  /// What is passed in must outlive it; `loop` is the one on which `runner` completes.
  /// Errors: InvalidArgument naming an impossible option.
  static absl::StatusOr<std::unique_ptr<Scheduler>> Create(SchedulerOptions options,
                                                           StepRunner& runner, base::Loop& loop,
                                                           const base::Clock& clock);

  absl::StatusOr<std::uint64_t> Submit(GenerationRequest request, Sink sink) override;
  void Cancel(std::uint64_t handle) override;
  GenerationLimits limits() const override { return options_.bounds.limits; }
  absl::Status Ready() const override;

  /// From now on Submit is Unavailable; what was accepted is completed.
  void StartDrain();
  /// Whether nothing is queued or running.
  bool Idle() const;

  /// Numbers for the metrics page; each is current, together they may be a step apart.
  struct Stats {
    int waiting = 0;
    int running = 0;
    std::uint64_t waiting_bytes = 0;  ///< Of the prompts that wait.
    std::int32_t kv_blocks_in_use = 0;
    std::uint64_t preemptions = 0;
    std::uint64_t steps = 0;
    std::uint64_t step_tokens = 0;       ///< Positions computed, repeated ones counted.
    std::uint64_t degraded_tokens = 0;   ///< Those among them that lacked some of their experts.
    std::uint64_t prompt_tokens = 0;     ///< Prompt positions computed.
    std::uint64_t generated_tokens = 0;  ///< Tokens chosen.
    double busy_seconds = 0;             ///< This process computed steps.
  };
  Stats stats() const;
  std::int32_t kv_blocks() const { return options_.kv_blocks; }
  int max_num_seqs() const { return options_.max_num_seqs; }
  int max_queue() const { return options_.max_queue; }

 private:
  using SequencePtr = std::unique_ptr<Sequence>;

  Scheduler(SchedulerOptions options, StepRunner& runner, base::Loop& loop,
            const base::Clock& clock);

  /// A sequence's part of a step.
  struct StepEntry {
    Sequence* sequence;
    std::int32_t tokens;
    std::int32_t prefill_rows = 0;  ///< Of the tokens, those of the prompt.
    bool samples = false;
  };

  // On the loop thread.
  void Enqueue(SequencePtr sequence);
  void InsertWaiting(SequencePtr sequence);
  void CancelNow(std::uint64_t handle);
  void Tick();
  void DropOverdue(absl::Duration now);
  SchedulingSnapshot Snapshot() const;
  void MaybeStartStep();
  void Preempt(const std::vector<std::int32_t>& indices);
  void Admit(std::int32_t count);
  void RunStep(std::vector<StepEntry> entries);
  /// In how many the step is computed.
  int MicroBatches();
  void FinishStep(StepResult result);
  /// Gives the sequences of a step the machine time it took.
  void ShareOut(const std::vector<StepEntry>& step, StepResult& result);
  /// Counts the step; the sample has no `seconds` yet.
  StepSample RecordStep(const std::vector<StepEntry>& step, const StepResult& result);
  /// Tells the traces of the step's requests of it.
  void TraceStep(const std::vector<StepEntry>& step, const StepTimes& times, absl::Duration now);
  /// Releases its blocks and takes it out of the running set.
  SequencePtr Retire(Sequence& sequence);
  /// Takes a sequence out of the queue for good.
  SequencePtr TakeWaiting(std::deque<SequencePtr>::iterator at);
  /// Takes it out of the counts of accepted and queued generations.
  void Ended(const Sequence& sequence);
  void PublishStats();

  const SchedulerOptions options_;
  const TokenRules rules_;
  StepRunner& runner_;
  base::Loop& loop_;
  const base::Clock& clock_;

  // Loop thread only.
  KvAllocator kv_;
  std::vector<SequencePtr> running_;        // oldest (lowest handle) first
  std::deque<SequencePtr> waiting_;         // oldest first; preempted ones are among them
  std::vector<StepEntry> step_;             // the step in flight; empty when there is none
  std::shared_ptr<StepTimeline> timeline_;  // of the step in flight, where a request is traced
  absl::Duration step_started_;
  StepTimeModel step_times_;
  absl::Duration last_admission_ = -absl::InfiniteDuration();
  Stats counters_;

  // Self-synchronised: nanoseconds of the monotonic clock at the last sign of life of the loop.
  std::atomic<std::int64_t> heartbeat_ns_;

  mutable base::Mutex mutex_;
  std::uint64_t next_handle_ ABSL_GUARDED_BY(mutex_) = 1;
  int queued_ ABSL_GUARDED_BY(mutex_) = 0;    // accepted and never started
  int accepted_ ABSL_GUARDED_BY(mutex_) = 0;  // accepted and not ended
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Duration admission_interval_ ABSL_GUARDED_BY(mutex_);
  Stats published_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace moesaic::router
