#include "placement/view/placement_watcher.h"

#include <grpcpp/client_context.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/status_macros.h"
#include "placement/view/placement_file.h"
#include "proto/moesaic/v1/coordinator.grpc.pb.h"
#include "rpc/status_map.h"

namespace moesaic::placement {
namespace {

/// Waits without end are cut into waits that a clock can add to its time.
constexpr absl::Duration kLongestWait = absl::Hours(1);

}  // namespace

absl::StatusOr<std::unique_ptr<PlacementWatcher>> PlacementWatcher::Start(
    Options options, std::shared_ptr<grpc::ChannelInterface> channel, PlacementHolder& holder) {
  if (options.router.empty() || options.model.model_fingerprint.empty()) {
    return absl::InvalidArgumentError("placement watcher: router name or model identity is empty");
  }
  std::unique_ptr<PlacementWatcher> watcher(
      new PlacementWatcher(std::move(options), std::move(channel), holder));
  watcher->AdoptRemembered();
  watcher->thread_ = std::thread([self = watcher.get()] { self->Run(); });
  return watcher;
}

PlacementWatcher::PlacementWatcher(Options options, std::shared_ptr<grpc::ChannelInterface> channel,
                                   PlacementHolder& holder)
    : options_(std::move(options)), channel_(std::move(channel)), holder_(holder) {}

PlacementWatcher::~PlacementWatcher() {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    if (context_ != nullptr) context_->TryCancel();  // does not block
  }
  wake_.NotifyAll();
  if (thread_.joinable()) thread_.join();
}

bool PlacementWatcher::connected() const {
  base::MutexLock lock(mutex_);
  return connected_;
}

absl::Status PlacementWatcher::last_error() const {
  base::MutexLock lock(mutex_);
  return last_error_;
}

void PlacementWatcher::AdoptRemembered() {
  if (options_.state_path.empty()) return;
  absl::Status adopted;
  if (auto map = LoadPlacement(options_.state_path); !map.ok()) {
    if (absl::IsNotFound(map.status())) return;
    adopted = map.status();
  } else {
    adopted = CheckSameModel(options_.model, (*map)->model());
    if (adopted.ok()) adopted = holder_.Adopt(*std::move(map));
  }
  if (!adopted.ok()) base::LogWarning("remembered placement not used: ", adopted.ToString());
}

void PlacementWatcher::Run() {
  absl::Duration backoff = options_.initial_backoff;
  do {
    bool progressed = false;
    const absl::Status ended = WatchOnce(progressed);
    if (progressed) {
      backoff = options_.initial_backoff;
      base::LogWarning("placement stream ended: ", ended.ToString());
    }
    if (!Pause(backoff)) return;
    backoff = std::min(backoff * 2, options_.max_backoff);
  } while (true);
}

absl::Status PlacementWatcher::WatchOnce(bool& progressed) {
  grpc::ClientContext context;
  if (!BeginStream(context)) return absl::CancelledError("stopping");
  const auto stub = v1::Coordinator::NewStub(channel_);
  const std::unique_ptr<Stream> stream = stub->WatchPlacement(&context);

  v1::WatchRequest first = Request(/*with_load=*/false);
  *first.mutable_model() = IdentityToProto(options_.model);
  *first.mutable_registration() = RouterDescriptionToProto(options_.description);
  absl::Status taken;
  if (stream->Write(first)) {
    // The coordinator answers the first request at once, if only with its initial metadata.
    stream->WaitForInitialMetadata();
    progressed = true;
    MarkConnected();
    std::thread sender([&] { SendRequests(*stream); });
    taken = TakePlacements(*stream);
    if (!taken.ok()) context.TryCancel();
    NoteBroken();
    sender.join();
  }
  const grpc::Status finished = stream->Finish();
  absl::Status ended = taken.ok() ? rpc::FromGrpcStatus(finished) : taken;
  EndStream(ended);
  return ended;
}

absl::Status PlacementWatcher::TakePlacements(Stream& stream) {
  v1::Placement placement;
  while (stream.Read(&placement)) {
    MOESAIC_RETURN_IF_ERROR(Take(placement));
    {
      base::MutexLock lock(mutex_);
      acknowledge_due_ = true;
    }
    wake_.NotifyAll();
  }
  return absl::OkStatus();
}

v1::WatchRequest PlacementWatcher::Request(bool with_load) const {
  v1::WatchRequest request;
  request.set_router(options_.router);
  if (const auto current = holder_.Current()) {
    *request.mutable_acknowledged() = EpochToProto(current->epoch());
  }
  if (with_load) *request.mutable_load() = LoadReportToProto(options_.take_load());
  return request;
}

void PlacementWatcher::SendRequests(Stream& stream) {
  const base::Clock& clock = base::Clock::Real();
  absl::Duration load_due = clock.Monotonic() + options_.load_interval;
  while (const std::optional<bool> with_load =
             AwaitDue(options_.take_load ? load_due : absl::InfiniteDuration())) {
    if (*with_load) load_due = clock.Monotonic() + options_.load_interval;
    if (!stream.Write(Request(*with_load))) return;
  }
}

std::optional<bool> PlacementWatcher::AwaitDue(absl::Duration load_due) {
  const base::Clock& clock = base::Clock::Real();
  base::MutexLock lock(mutex_);
  while (!stopping_ && !broken_ && !acknowledge_due_) {
    const absl::Duration left = load_due - clock.Monotonic();
    if (left <= absl::ZeroDuration()) return true;
    wake_.WaitFor(mutex_, std::min(left, kLongestWait));
  }
  if (stopping_ || broken_) return std::nullopt;
  acknowledge_due_ = false;
  return false;
}

absl::Status PlacementWatcher::Take(const v1::Placement& proto) {
  MOESAIC_ASSIGN_OR_RETURN(auto map, PlacementMap::FromProto(proto));
  MOESAIC_RETURN_IF_ERROR(CheckSameModel(options_.model, map->model()));
  const absl::Status adopted = holder_.Adopt(map);
  if (!adopted.ok()) {
    // A coordinator that has just started does not know our epoch yet. The acknowledgement that
    // follows names it, and the coordinator goes above it.
    base::LogWarning("placement refused: ", adopted.ToString());
    return absl::OkStatus();
  }
  if (options_.state_path.empty()) return absl::OkStatus();
  if (const absl::Status saved = SavePlacement(options_.state_path, *map); !saved.ok()) {
    base::LogWarning("placement not remembered: ", saved.ToString());
  }
  return absl::OkStatus();
}

bool PlacementWatcher::BeginStream(grpc::ClientContext& context) {
  base::MutexLock lock(mutex_);
  if (stopping_) return false;
  context_ = &context;
  broken_ = false;
  acknowledge_due_ = false;
  return true;
}

void PlacementWatcher::NoteBroken() {
  {
    base::MutexLock lock(mutex_);
    broken_ = true;
  }
  wake_.NotifyAll();
}

void PlacementWatcher::MarkConnected() {
  base::MutexLock lock(mutex_);
  connected_ = true;
  last_error_ = absl::OkStatus();
}

void PlacementWatcher::EndStream(absl::Status status) {
  base::MutexLock lock(mutex_);
  context_ = nullptr;
  connected_ = false;
  last_error_ = std::move(status);
}

bool PlacementWatcher::Pause(absl::Duration delay) {
  const base::Clock& clock = base::Clock::Real();
  const absl::Duration until = clock.Monotonic() + delay;
  base::MutexLock lock(mutex_);
  while (!stopping_) {
    const absl::Duration left = until - clock.Monotonic();
    if (left <= absl::ZeroDuration()) return true;
    wake_.WaitFor(mutex_, left);
  }
  return false;
}

}  // namespace moesaic::placement
