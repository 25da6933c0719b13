#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/loop.h"
#include "base/stream.h"
#include "router/engine/engine_context.h"
#include "router/engine/expert_backend.h"
#include "router/engine/head_stage.h"
#include "router/engine/step_batch.h"
#include "router/engine/step_layout.h"
#include "router/engine/wait_shares.h"

namespace moesaic::router {

/// Sees the residual stream of a micro-batch after a layer ([rows, hidden] f32, on the stream's
/// thread). For tests that hunt a difference.
using LayerObserver =
    std::function<void(base::LayerId, const MicroBatch&, const base::TensorView& residual)>;

/// What a step runs with; all of it outlives the step.
struct StepEnvironment {
  const EngineContext& context;
  base::CpuStream& stream;  ///< With this clock.
  base::Loop& loop;
  const base::Clock& clock;
  /// Calls the backend and has `done` run on the loop.
  std::function<void(const ExpertCall&, absl::AnyInvocable<void(ExpertOutcome)> done)> call_experts;
  int unit_size = 1;  ///< Experts per unit.
  HeadStage& head;
  const LayerObserver& observer;
  std::vector<MicroBatch>& layout;  ///< Of the step in flight; the next one uses its memory again.
};

/// One step as a state machine per micro-batch. Nothing waits: a state launches ops on the stream
/// or calls the backend and returns; the completion is an event on the loop that enters the next
/// state.
///
///     kDense ──gate launched──▶ kGating ──its event──▶ kExperts ──backend's event──▶ kDense …
///        └──last layer──▶ kDone; when all are there: head ──its event──▶ the step is done
///
/// kDense launches whole layers until one needs routed experts. While one micro-batch is with the
/// experts, its shared experts and the other micro-batch's ops run on the stream. Since the stream
/// keeps the order, combine follows the shared experts without an event between them. Ops of a step
/// of few rows run as they are launched, on the loop's thread: nothing else is to be done
/// meanwhile. Single-thread (the loop).
class StepMachine {
 public:
  StepMachine(const StepEnvironment& environment, StepBatch batch,
              absl::AnyInvocable<void(StepResult)> done);

  /// Launches the embedding and the first layers of every micro-batch.
  void Start();

 private:
  enum class State { kDense, kGating, kExperts, kDone };
  /// A moment, and how long the stream had worked until then.
  struct StreamMark {
    std::int64_t at_ns = 0;
    std::int64_t ran_ns = 0;
  };
  struct Progress {
    explicit Progress(const MicroBatch& laid_out) : rows(laid_out) {}
    const MicroBatch& rows;
    State state = State::kDense;
    std::size_t layer = 0;
    std::int32_t moe_index = 0;  ///< MoE layers before `layer`.
    std::vector<std::int32_t> slot_offsets;
    std::int64_t called_ns = 0;  ///< When the experts were called.
    std::vector<bool> degraded;  ///< [rows], lacked experts in some layer; empty while none did.
    std::vector<const monitoring::TraceId*> trace_ids;  ///< [rows]; empty when there are none.
    LayerSpan span;                                     ///< Kept where there is a timeline.
  };

  /// Enters `next`, which must follow the present state.
  void Enter(Progress& progress, State next);
  absl::Status LaunchEmbedding(const Progress& progress);
  /// Launches layers up to the next gate, or to the end.
  void Advance(Progress& progress);
  absl::Status LaunchUntilGate(Progress& progress);
  bool FillForcedIds(const Progress& progress);
  void OnGateDone(Progress& progress);
  void FailInvalidRows(const Progress& progress);
  void RecordRouting(const Progress& progress);
  void CountExperts(const Progress& progress);
  void SkipFailedRows(const Progress& progress);
  void OnExpertsDone(Progress& progress, const ExpertOutcome& outcome);
  /// Launches what makes up for slots that were left out, and counts their rows.
  void RenormalizeRows(Progress& progress, const std::vector<std::int32_t>& skipped_slots);
  absl::Status LaunchShared(const Progress& progress);
  void FinishMicroBatch(Progress& progress);
  void LaunchHead();
  /// Fails every slice; the machine then runs out without launching more.
  void Abort(absl::Status status);
  void Finish();
  void Observe(const Progress& progress);
  /// What is launched from now on counts for `phase`.
  void Tag(StepPhase phase) { env_.stream.SetTag(static_cast<int>(phase)); }
  /// Hands a call to the backend; from then on it is with the shards.
  void BeginDispatch(Progress& progress, const ExpertCall& call);
  /// It is no longer: what was waited since the last time goes to the phases it passed through.
  void EndDispatch(const Progress& progress, const ExpertOutcome& outcome);
  StreamMark Mark() const;
  /// Nanoseconds since `mark` in which the stream had nothing to do.
  std::int64_t AtRestSince(const StreamMark& mark) const;
  /// Adds what the shards computed to the slices.
  void AddWork(const Progress& progress, const std::vector<TokenWork>& work);
  StepTimes Times() const;
  /// Tells the timeline of the experts of a layer.
  void MarkDispatched(Progress& progress);
  void MarkDone(Progress& progress);
  const DenseLayer& LayerOf(const Progress& progress) const {
    return env_.context.weights.layers[progress.layer];
  }

  const StepEnvironment& env_;
  const StepBatch batch_;
  absl::AnyInvocable<void(StepResult)> done_;
  std::vector<Progress> micro_batches_;
  std::size_t unfinished_ = 0;
  absl::Status aborted_;
  StepResult result_;
  std::vector<std::int32_t> expert_seen_;  // [experts], number of the last layer that chose it

  // What times are counted from. Nanoseconds; the stream's are sums since it was made.
  const std::int64_t started_ns_;
  const std::array<std::int64_t, base::CpuStream::kTags> stream_before_;
  int calls_in_flight_ = 0;
  StreamMark waiting_since_;
  std::int64_t packed_meanwhile_ns_ = 0;
  std::int64_t packed_ns_ = 0;  // with the stream at rest, as with waiting
  WaitShares waited_;
};

}  // namespace moesaic::router
