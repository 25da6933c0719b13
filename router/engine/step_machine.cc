#include "router/engine/step_machine.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "kernels/elementwise.h"
#include "router/engine/attention_block.h"
#include "router/engine/mlp_block.h"
#include "router/engine/moe_block.h"
#include "router/engine/renormalize.h"

namespace moesaic::router {
namespace {

std::int64_t SumOf(const std::array<std::int64_t, base::CpuStream::kTags>& values) {
  return std::accumulate(values.begin(), values.end(), std::int64_t{0});
}

std::int64_t NowNs(const StepEnvironment& env) {
  return absl::ToInt64Nanoseconds(env.clock.Monotonic());
}

/// Most rows of a step that the loop's own thread computes, with what pool threads help: while it
/// does, it hears of nothing else, and of a larger step it is a small part to hand it over.
constexpr std::int32_t kMostRowsHere = 8;

/// [rows], or empty when no slice is to be told of.
std::vector<const monitoring::TraceId*> TraceIdsOf(const StepBatch& batch, const MicroBatch& rows) {
  std::vector<const monitoring::TraceId*> ids;
  for (std::int32_t row = 0; row < rows.rows; ++row) {
    const monitoring::TraceId* id = batch.slices[rows.row_slice[row]].trace_id;
    if (id != nullptr) ids.resize(rows.rows);
    if (!ids.empty()) ids[row] = id;
  }
  return ids;
}

}  // namespace

StepMachine::StepMachine(const StepEnvironment& environment, StepBatch batch,
                         absl::AnyInvocable<void(StepResult)> done)
    : env_(environment),
      batch_(std::move(batch)),
      done_(std::move(done)),
      started_ns_(NowNs(environment)),
      stream_before_(environment.stream.RunNanoseconds()) {
  const model::ModelConfig& config = env_.context.config;
  const std::size_t routing_width = config.moe_layers.size() * config.moe.gating.top_k;
  result_.slices.resize(batch_.slices.size());
  for (std::size_t s = 0; s < batch_.slices.size(); ++s) {
    if (!batch_.slices[s].record_routing) continue;
    result_.slices[s].routing.resize(batch_.slices[s].tokens.size() * routing_width);
  }
  LayOut(batch_, env_.context.kv.block_tokens(), env_.layout);
  micro_batches_.reserve(env_.layout.size());
  for (const MicroBatch& rows : env_.layout) {
    Progress& progress = micro_batches_.emplace_back(rows);
    progress.trace_ids = TraceIdsOf(batch_, progress.rows);
    progress.span.micro_batch = static_cast<std::uint32_t>(micro_batches_.size() - 1);
    if (batch_.timeline) progress.span.begun = batch_.timeline->Now();
  }
  unfinished_ = micro_batches_.size();
  // Of two micro-batches one is to be dispatched while the other is computed.
  env_.stream.RunHere(micro_batches_.size() == 1 && micro_batches_[0].rows.rows <= kMostRowsHere);
  result_.micro_batches = static_cast<int>(micro_batches_.size());
}

void StepMachine::Start() {
  for (Progress& progress : micro_batches_) {
    if (absl::Status launched = LaunchEmbedding(progress); !launched.ok()) {
      Abort(std::move(launched));
    }
    Advance(progress);
  }
}

absl::Status StepMachine::LaunchEmbedding(const Progress& progress) {
  Tag(StepPhase::kOther);
  return kernels::Launch(
      kernels::EmbeddingArgs{.table = env_.context.weights.embedding.view,
                             .ids = HostVector(progress.rows.token_ids),
                             .y = env_.context.buffers.residual.Of(progress.rows)},
      env_.stream);
}

void StepMachine::Enter(Progress& progress, State next) {
  const State from = progress.state;
  MOESAIC_CHECK((from == State::kDense && next == State::kGating) ||
                (from == State::kGating && next == State::kExperts) ||
                (from == State::kExperts && next == State::kDense) ||
                (from != State::kDone && next == State::kDone));
  progress.state = next;
}

void StepMachine::Advance(Progress& progress) {
  if (aborted_.ok()) {
    if (absl::Status launched = LaunchUntilGate(progress); !launched.ok()) {
      Abort(std::move(launched));
    }
  }
  if (!aborted_.ok() || progress.layer == env_.context.weights.layers.size()) {
    FinishMicroBatch(progress);
    return;
  }
  Enter(progress, State::kGating);
  env_.stream.OnComplete(
      [this, &progress] { env_.loop.PostCompletion([this, &progress] { OnGateDone(progress); }); });
}

absl::Status StepMachine::LaunchUntilGate(Progress& progress) {
  const EngineContext& context = env_.context;
  for (; progress.layer < context.weights.layers.size(); ++progress.layer) {
    Tag(StepPhase::kAttention);
    MOESAIC_RETURN_IF_ERROR(LaunchAttention(context, progress.layer, progress.rows, env_.stream));
    const DenseLayer& layer = LayerOf(progress);
    if (layer.gate) {
      Tag(StepPhase::kGate);
      return LaunchGate(context, layer, progress.rows, FillForcedIds(progress), env_.stream);
    }
    Tag(StepPhase::kShared);
    MOESAIC_RETURN_IF_ERROR(LaunchDenseMlp(context, layer, progress.rows, env_.stream));
    Observe(progress);
  }
  return absl::OkStatus();
}

bool StepMachine::FillForcedIds(const Progress& progress) {
  const MicroBatch& rows = progress.rows;
  const model::ModelConfig& config = env_.context.config;
  const std::size_t top_k = config.moe.gating.top_k;
  const std::size_t width = config.moe_layers.size() * top_k;
  auto* forced = env_.context.buffers.forced_ids.Of(rows).As<std::int32_t>();
  bool any = false;
  for (std::int32_t row = 0; row < rows.rows; ++row) {
    const StepSlice& slice = batch_.slices[rows.row_slice[row]];
    const std::size_t begin = std::size_t(rows.positions[row] - slice.first_position) * width +
                              progress.moe_index * top_k;
    std::int32_t* to = forced + row * top_k;
    if (begin >= slice.replay_routing.size()) {
      std::fill_n(to, top_k, -1);
      continue;
    }
    std::copy_n(slice.replay_routing.begin() + begin, top_k, to);
    any = true;
  }
  return any;
}

void StepMachine::OnGateDone(Progress& progress) {
  const EngineContext& context = env_.context;
  FailInvalidRows(progress);
  RecordRouting(progress);
  CountExperts(progress);
  SkipFailedRows(progress);
  Enter(progress, State::kExperts);
  const std::size_t entries = std::size_t(progress.rows.rows) * context.config.moe.gating.top_k;
  SlotOffsets({context.buffers.expert_ids.Of(progress.rows).As<std::int32_t>(), entries},
              context.config.moe.gating.top_k, env_.unit_size, progress.slot_offsets);
  if (progress.slot_offsets.back() == 0) {  // every row has failed
    OnExpertsDone(progress, {});
    return;
  }
  MarkDispatched(progress);
  ExpertCall call =
      MakeExpertCall(context, base::LayerId(progress.layer), progress.rows, progress.slot_offsets);
  call.trace_ids = progress.trace_ids;
  call.timeline = batch_.timeline;
  BeginDispatch(progress, call);
  if (absl::Status launched = LaunchShared(progress); !launched.ok()) Abort(std::move(launched));
}

absl::Status StepMachine::LaunchShared(const Progress& progress) {
  const DenseLayer& layer = LayerOf(progress);
  if (!layer.mlp) return absl::OkStatus();
  Tag(StepPhase::kShared);
  return LaunchGatedMlp(env_.context, *layer.mlp, progress.rows, env_.stream);
}

void StepMachine::FailInvalidRows(const Progress& progress) {
  const auto* invalid = env_.context.buffers.invalid.Of(progress.rows).As<std::uint8_t>();
  for (std::int32_t row = 0; row < progress.rows.rows; ++row) {
    absl::Status& status = result_.slices[progress.rows.row_slice[row]].status;
    if (invalid[row] == 0 || !status.ok()) continue;
    status = absl::InternalError(
        absl::StrCat("layer ", progress.layer, ": the gate gave a logit that is not finite"));
  }
}

void StepMachine::RecordRouting(const Progress& progress) {
  const MicroBatch& rows = progress.rows;
  const model::ModelConfig& config = env_.context.config;
  const std::size_t top_k = config.moe.gating.top_k;
  const std::size_t width = config.moe_layers.size() * top_k;
  const auto* ids = env_.context.buffers.ids_by_weight.Of(rows).As<std::int32_t>();
  for (std::int32_t row = 0; row < rows.rows; ++row) {
    const std::int32_t s = rows.row_slice[row];
    if (!batch_.slices[s].record_routing) continue;
    const std::size_t row_in_slice = rows.positions[row] - batch_.slices[s].first_position;
    std::copy_n(
        ids + row * top_k, top_k,
        result_.slices[s].routing.begin() + row_in_slice * width + progress.moe_index * top_k);
  }
}

void StepMachine::CountExperts(const Progress& progress) {
  const model::ModelConfig& config = env_.context.config;
  expert_seen_.resize(config.moe.num_experts, -1);
  const std::size_t entries = std::size_t(progress.rows.rows) * config.moe.gating.top_k;
  const auto* ids = env_.context.buffers.expert_ids.Of(progress.rows).As<std::int32_t>();
  for (std::size_t i = 0; i < entries; ++i) {
    if (ids[i] < 0) continue;
    const auto layer = static_cast<std::int32_t>(progress.layer);
    result_.experts += std::exchange(expert_seen_[ids[i]], layer) != layer;
  }
}

void StepMachine::SkipFailedRows(const Progress& progress) {
  const std::size_t top_k = env_.context.config.moe.gating.top_k;
  auto* ids = env_.context.buffers.expert_ids.Of(progress.rows).As<std::int32_t>();
  for (std::int32_t row = 0; row < progress.rows.rows; ++row) {
    if (result_.slices[progress.rows.row_slice[row]].status.ok()) continue;
    std::fill_n(ids + row * top_k, top_k, -1);
  }
}

void StepMachine::OnExpertsDone(Progress& progress, const ExpertOutcome& outcome) {
  for (const ExpertOutcome::Failure& failure : outcome.failures) {
    absl::Status& status = result_.slices[progress.rows.row_slice[failure.token]].status;
    if (status.ok()) status = failure.status;
  }
  Enter(progress, State::kDense);
  Tag(StepPhase::kCombine);
  if (!outcome.skipped_slots.empty()) RenormalizeRows(progress, outcome.skipped_slots);
  if (aborted_.ok()) {
    absl::Status launched = LaunchCombine(env_.context, LayerOf(progress).mlp.has_value(),
                                          progress.rows, progress.slot_offsets, env_.stream);
    if (!launched.ok()) Abort(std::move(launched));
  }
  Observe(progress);
  ++progress.layer;
  ++progress.moe_index;
  Advance(progress);
}

void StepMachine::RenormalizeRows(Progress& progress,
                                  const std::vector<std::int32_t>& skipped_slots) {
  progress.degraded.resize(progress.rows.rows);
  for (const std::int32_t slot : skipped_slots) {
    const std::int32_t row = TokenOfSlot(progress.slot_offsets, slot);
    if (progress.degraded[row]) continue;
    progress.degraded[row] = true;
    ++result_.slices[progress.rows.row_slice[row]].degraded_tokens;
  }
  // The call as it was made: its memory stays until the next layer's gate.
  env_.stream.Enqueue([call = MakeExpertCall(env_.context, base::LayerId(progress.layer),
                                             progress.rows, progress.slot_offsets),
                       unit_size = env_.unit_size, skipped_slots](base::ComputePool&) {
    RenormalizeSkipped(call, unit_size, skipped_slots);
  });
}

void StepMachine::Observe(const Progress& progress) {
  if (!env_.observer) return;
  env_.stream.Enqueue([this, &progress, layer = base::LayerId(progress.layer)](base::ComputePool&) {
    env_.observer(layer, progress.rows, env_.context.buffers.residual.Of(progress.rows));
  });
}

void StepMachine::BeginDispatch(Progress& progress, const ExpertCall& call) {
  const StreamMark begun = Mark();
  progress.called_ns = begun.at_ns;
  env_.call_experts(call, [this, &progress](ExpertOutcome outcome) {
    MarkDone(progress);
    EndDispatch(progress, outcome);
    AddWork(progress, outcome.token_work);
    OnExpertsDone(progress, outcome);
  });
  const std::int64_t packed = AtRestSince(begun);
  packed_ns_ += packed;
  packed_meanwhile_ns_ += packed;
  if (calls_in_flight_++ > 0) return;
  waiting_since_ = Mark();
  packed_meanwhile_ns_ = 0;
}

void StepMachine::EndDispatch(const Progress& progress, const ExpertOutcome& outcome) {
  --calls_in_flight_;
  const StreamMark now = Mark();
  const WaitShares shares =
      DivideWait(AtRestSince(waiting_since_) - packed_meanwhile_ns_, now.at_ns - progress.called_ns,
                 absl::ToInt64Nanoseconds(outcome.last_queue_wait),
                 absl::ToInt64Nanoseconds(outcome.last_compute));
  waited_.wire += shares.wire;
  waited_.queue += shares.queue;
  waited_.expert += shares.expert;
  waiting_since_ = now;
  packed_meanwhile_ns_ = 0;
}

StepMachine::StreamMark StepMachine::Mark() const {
  return {NowNs(env_), SumOf(env_.stream.RunNanoseconds())};
}

std::int64_t StepMachine::AtRestSince(const StreamMark& mark) const {
  const StreamMark now = Mark();
  return std::max<std::int64_t>(0, now.at_ns - mark.at_ns - (now.ran_ns - mark.ran_ns));
}

void StepMachine::AddWork(const Progress& progress, const std::vector<TokenWork>& work) {
  if (work.empty()) return;
  for (std::int32_t row = 0; row < progress.rows.rows; ++row) {
    SliceWork& of_slice = result_.slices[progress.rows.row_slice[row]].work;
    monitoring::WorkCost& sum = progress.rows.is_prefill[row] ? of_slice.prefill : of_slice.decode;
    sum.shard_seconds += work[row].seconds;
    sum.cost += work[row].cost;
    sum.unpriced_seconds += work[row].unpriced_seconds;
  }
}

StepTimes StepMachine::Times() const {
  StepTimes times;
  const auto stream_after = env_.stream.RunNanoseconds();
  for (std::size_t phase = 0; phase < kStreamPhases; ++phase) {
    times.seconds[phase] = 1e-9 * static_cast<double>(stream_after[phase] - stream_before_[phase]);
  }
  times[StepPhase::kPack] = 1e-9 * static_cast<double>(packed_ns_);
  times[StepPhase::kWire] = 1e-9 * static_cast<double>(waited_.wire);
  times[StepPhase::kQueue] = 1e-9 * static_cast<double>(waited_.queue);
  times[StepPhase::kExpert] = 1e-9 * static_cast<double>(waited_.expert);
  // Laying out and forming the answer are this thread's own work.
  const double all = 1e-9 * static_cast<double>(NowNs(env_) - started_ns_);
  times[StepPhase::kOther] += std::max(0.0, all - times.total());
  return times;
}

void StepMachine::MarkDispatched(Progress& progress) {
  if (!batch_.timeline) return;
  progress.span.layer = static_cast<std::uint32_t>(progress.layer);
  progress.span.dispatched = batch_.timeline->Now();
}

void StepMachine::MarkDone(Progress& progress) {
  if (!batch_.timeline) return;
  progress.span.done = batch_.timeline->Now();
  batch_.timeline->AddLayer(progress.span);
  progress.span.begun = progress.span.done;
}

void StepMachine::FinishMicroBatch(Progress& progress) {
  Enter(progress, State::kDone);
  if (--unfinished_ == 0) LaunchHead();
}

void StepMachine::LaunchHead() {
  if (aborted_.ok()) {
    std::vector<std::int32_t> first_rows;
    first_rows.reserve(batch_.slices.size());
    std::int32_t row = 0;
    for (const StepSlice& slice : batch_.slices) {
      first_rows.push_back(row);
      row += static_cast<std::int32_t>(slice.tokens.size());
    }
    absl::Status launched =
        env_.head.Launch(env_.context, batch_, first_rows, result_, env_.stream);
    if (!launched.ok()) Abort(std::move(launched));
  }
  env_.stream.OnComplete([this] { env_.loop.PostCompletion([this] { Finish(); }); });
}

void StepMachine::Abort(absl::Status status) {
  if (aborted_.ok()) aborted_ = std::move(status);
}

void StepMachine::Finish() {
  if (!aborted_.ok()) {
    for (SliceResult& slice : result_.slices) slice.status = aborted_;
  }
  result_.times = Times();
  // The engine may destroy this machine as soon as it has the result.
  auto done = std::move(done_);
  done(std::move(result_));
}

}  // namespace moesaic::router
