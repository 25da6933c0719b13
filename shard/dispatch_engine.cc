#include "shard/dispatch_engine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"

namespace moesaic::shard {
namespace {

/// Ties a dispatch to the requests whose timeline is kept. Many lines a token: for those who look.
void LogTraced(const Work& work, std::string_view outcome, const rpc::DispatchReply& reply) {
  if (work.dispatch.trace_ids.empty() || !base::LogEnabled(base::LogLevel::kDebug)) return;
  for (const monitoring::TraceId& id : work.dispatch.trace_ids) {
    base::Log(base::LogLevel::kDebug, "dispatch",
              {{"trace_id", monitoring::TraceIdText(id)},
               {"router", work.router},
               {"dispatch", static_cast<std::int64_t>(reply.dispatch_id)},
               {"lane", rpc::LaneName(work.lane)},
               {"layer", std::int64_t{work.dispatch.layer.value()}},
               {"rows", std::int64_t{work.dispatch.row_count}},
               {"outcome", outcome},
               {"queue_wait_us", static_cast<std::int64_t>(reply.queue_wait_us)},
               {"compute_us", static_cast<std::int64_t>(reply.compute_us)},
               {"batch_rows", std::int64_t{reply.batch_rows}}});
  }
}

/// Most bytes of f32 results one dispatch may ask for. A router's largest (1 MiB outward, top-8)
/// stays a factor of 8 below.
constexpr std::uint64_t kMaxResultBytes = std::uint64_t{256} << 20;

/// Most assignments the polling thread computes itself: a token's. Handing over more costs a small
/// part of computing them.
constexpr std::uint32_t kMostRowsHere = 16;

}  // namespace

DispatchEngine::DispatchEngine(Options options, const ExpertStore& store, FfnExecutor& executor,
                               ShardMetrics& metrics, const base::Clock& clock)
    : options_(options),
      store_(store),
      executor_(executor),
      metrics_(metrics),
      clock_(clock),
      batcher_(options.batching) {}

DispatchEngine::~DispatchEngine() { Stop(); }

absl::Status DispatchEngine::OnOpen(rpc::StreamId stream, const rpc::PeerHello& router) {
  base::MutexLock lock(mutex_);
  if (draining_) return absl::UnavailableError("the shard is draining");
  peers_[stream] = {.router = router.sender, .lane = router.lane};
  return absl::OkStatus();
}

void DispatchEngine::OnDispatch(rpc::StreamId stream, rpc::Dispatch dispatch) {
  ++dispatches_total_;
  metrics_.Received(dispatch);
  const std::uint64_t id = dispatch.dispatch_id;
  if (const absl::Status valid = CheckDispatch(dispatch); !valid.ok()) {
    return Refuse(stream, id, rpc::DispatchCode::kInvalid, std::string(valid.message()));
  }
  Work work;
  work.stream = stream;
  work.received = clock_.Monotonic();
  if (dispatch.remaining_us > 0) {
    work.deadline = work.received + absl::Microseconds(static_cast<double>(dispatch.remaining_us));
  }
  work.dispatch = std::move(dispatch);
  bool draining = false;
  std::optional<Work> refused;
  {
    base::MutexLock lock(mutex_);
    const auto peer = peers_.find(stream);
    if (peer == peers_.end()) return;
    work.router = peer->second.router;
    work.lane = peer->second.lane;
    draining = draining_;
    if (!draining) refused = batcher_.Add(std::move(work));
  }
  if (draining) {
    return Refuse(stream, id, rpc::DispatchCode::kDraining, "the shard is draining");
  }
  if (refused) {
    return Refuse(stream, id, rpc::DispatchCode::kOverloaded,
                  absl::StrCat("more than ", options_.batching.queue_bytes_per_router, " bytes of ",
                               refused->router, " are waiting"));
  }
  Pump();
}

void DispatchEngine::OnCancel(rpc::StreamId stream, absl::Span<const std::uint64_t> dispatch_ids) {
  std::vector<Work> cancelled;
  {
    base::MutexLock lock(mutex_);
    cancelled = batcher_.Cancel(stream, dispatch_ids);
    refusing_ += static_cast<std::uint32_t>(cancelled.size());
  }
  RefuseAll(cancelled, rpc::DispatchCode::kCancelled, "cancelled by the router");
}

void DispatchEngine::OnClose(rpc::StreamId stream) {
  base::MutexLock lock(mutex_);
  peers_.erase(stream);
  batcher_.CloseStream(stream);
  idle_.NotifyAll();
}

absl::Status DispatchEngine::CheckDispatch(const rpc::Dispatch& dispatch) const {
  const placement::ExpertTopology& topology = store_.topology();
  if (!topology.LayerIndex(dispatch.layer)) {
    return absl::InvalidArgumentError(
        absl::StrCat("layer ", dispatch.layer.value(), " has no routed experts"));
  }
  if (dispatch.dtype != options_.wire_dtype) {
    return absl::InvalidArgumentError(absl::StrCat(
        "wire dtype ", base::ToAbsl(rpc::WireDtypeName(dispatch.dtype)), "; this cluster uses ",
        base::ToAbsl(rpc::WireDtypeName(options_.wire_dtype))));
  }
  for (const std::uint32_t adapter : dispatch.adapter_id) {
    if (adapter != 0) return absl::InvalidArgumentError("adapters are not supported");
  }
  const std::size_t count = dispatch.row_index.size();
  if (count * options_.hidden_size * sizeof(float) > kMaxResultBytes) {
    return absl::InvalidArgumentError(absl::StrCat(count, " assignments are too many; split them"));
  }
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t row = dispatch.row_index[i];
    const std::uint32_t expert = dispatch.expert_id[i];
    if (row >= dispatch.row_count || expert >= topology.experts_per_layer) {
      return absl::InvalidArgumentError(
          absl::StrCat("row ", row, " of ", dispatch.row_count, " or expert ", expert, " of ",
                       topology.experts_per_layer, " does not exist"));
    }
    if (i > 0 && (row < dispatch.row_index[i - 1] ||
                  (row == dispatch.row_index[i - 1] && expert <= dispatch.expert_id[i - 1]))) {
      return absl::InvalidArgumentError(
          absl::StrCat("assignments are not ascending at row ", row, " expert ", expert));
    }
  }
  return absl::OkStatus();
}

void DispatchEngine::Refuse(rpc::StreamId stream, std::uint64_t dispatch_id, rpc::DispatchCode code,
                            std::string error) const {
  rpc::DispatchReply reply;
  metrics_.Refused(code);
  reply.dispatch_id = dispatch_id;
  reply.code = code;
  reply.error = std::move(error);
  reply.dtype = rpc::ReplyDtype(options_.wire_dtype);
  reply_(stream, reply);
}

void DispatchEngine::RefuseAll(const std::vector<Work>& works, rpc::DispatchCode code,
                               const char* error) {
  if (works.empty()) return;
  for (const Work& work : works) {
    rpc::DispatchReply nothing;
    nothing.dispatch_id = work.dispatch.dispatch_id;
    LogTraced(work, rpc::DispatchCodeName(code), nothing);
    Refuse(work.stream, work.dispatch.dispatch_id, code, error);
  }
  base::MutexLock lock(mutex_);
  refusing_ -= static_cast<std::uint32_t>(works.size());
  idle_.NotifyAll();
}

void DispatchEngine::Pump() {
  Batcher::Selection selection;
  bool here = false;
  {
    base::MutexLock lock(mutex_);
    if (computing_ > 0) return;
    selection = TakeNext();
    here = ComputedHere(selection.batch);
  }
  Run(std::move(selection), here);
}

bool DispatchEngine::ComputedHere(const Batcher::Batch& batch) const {
  if (batch.rows > kMostRowsHere) return false;
  return std::count_if(peers_.begin(), peers_.end(), [](const auto& peer) {
           return peer.second.lane == rpc::Lane::kDecode;
         }) == 1;
}

Batcher::Selection DispatchEngine::TakeNext() {
  Batcher::Selection selection;
  if (!stopped_) selection = batcher_.Next(clock_.Monotonic());
  computing_ = static_cast<std::uint32_t>(selection.batch.works.size());
  refusing_ += static_cast<std::uint32_t>(selection.expired.size());
  if (computing_ == 0) idle_.NotifyAll();
  return selection;
}

void DispatchEngine::Run(Batcher::Selection selection, bool here) {
  RefuseAll(selection.expired, rpc::DispatchCode::kExpired,
            "its time passed before it was computed");
  if (selection.batch.works.empty()) return;
  executor_.Compute(std::move(selection.batch.works), store_.Current(), here,
                    [this](FfnExecutor::Outcome outcome) { Finish(std::move(outcome)); });
}

void DispatchEngine::Finish(FfnExecutor::Outcome outcome) {
  expert_rows_total_ += outcome.expert_rows;
  metrics_.Computed(outcome);
  speed_.OnBatch(static_cast<std::uint32_t>(outcome.expert_rows), outcome.experts, outcome.compute);
  const SpeedMeter::Speed speed = speed_.speed();
  std::uint32_t depth[2];
  {
    base::MutexLock lock(mutex_);
    depth[0] = batcher_.rows_waiting(rpc::Lane::kDecode);
    depth[1] = batcher_.rows_waiting(rpc::Lane::kPrefill);
  }
  for (FfnExecutor::Result& result : outcome.results) {
    result.reply.queue_depth_rows = depth[result.work.lane == rpc::Lane::kPrefill ? 1 : 0];
    result.reply.ns_per_row = static_cast<std::uint32_t>(1e3 * speed.us_per_row);
    result.reply.ns_per_expert = static_cast<std::uint32_t>(1e3 * speed.us_per_expert);
    LogTraced(result.work, rpc::DispatchCodeName(result.reply.code), result.reply);
    reply_(result.work.stream, result.reply);
  }
  outcome.results.clear();  // requests return their memory before the next batch takes some
  Batcher::Selection next;
  {
    // Under one lock: who waits for the end of the work must not see it between two batches.
    base::MutexLock lock(mutex_);
    next = TakeNext();
  }
  // With nothing left to do the engine may be gone as soon as the lock is. Not here: this may be
  // the end of one that was.
  if (!next.empty()) Run(std::move(next), /*here=*/false);
}

void DispatchEngine::StartDraining() {
  base::MutexLock lock(mutex_);
  draining_ = true;
}

std::uint32_t DispatchEngine::AwaitDrained(absl::Duration timeout) {
  const absl::Duration until = clock_.Monotonic() + timeout;
  base::MutexLock lock(mutex_);
  while (computing_ > 0 || refusing_ > 0 || !batcher_.empty()) {
    const absl::Duration left = until - clock_.Monotonic();
    if (left <= absl::ZeroDuration()) break;
    idle_.WaitFor(mutex_, left);
  }
  return computing_ + refusing_ + static_cast<std::uint32_t>(batcher_.works_waiting());
}

void DispatchEngine::Stop() {
  base::MutexLock lock(mutex_);
  stopped_ = true;
  while (computing_ > 0 || refusing_ > 0) idle_.Wait(mutex_);
}

std::uint32_t DispatchEngine::rows_waiting(rpc::Lane lane) const {
  base::MutexLock lock(mutex_);
  return batcher_.rows_waiting(lane);
}

bool DispatchEngine::draining() const {
  base::MutexLock lock(mutex_);
  return draining_;
}

}  // namespace moesaic::shard
