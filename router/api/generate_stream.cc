#include "router/api/generate_stream.h"

#include <utility>

#include "rpc/status_map.h"

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace moesaic::router {
namespace {

constexpr std::size_t kMaxQueuedBytes = 1 << 20;  // as much as an HTTP event stream may hold back

// gRPC orders what one of its threads does after another, but ThreadSanitizer cannot see that in an
// uninstrumented library: what we hand to gRPC is released here, what it calls back acquires it.
void HandToGrpc([[maybe_unused]] void* stream) {
#if defined(__SANITIZE_THREAD__)
  __tsan_release(stream);
#endif
}

void TakeFromGrpc([[maybe_unused]] void* stream) {
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(stream);
#endif
}

}  // namespace

std::shared_ptr<GenerateStream> GenerateStream::Create(
    absl::AnyInvocable<void(const absl::Status&)> on_done) {
  std::shared_ptr<GenerateStream> stream(new GenerateStream(std::move(on_done)));
  stream->self_ = stream;
  HandToGrpc(stream.get());
  return stream;
}

void GenerateStream::Send(v1::GenerateResponse response) {
  bool overflow = false;
  {
    base::MutexLock lock(mutex_);
    if (ended_) return;
    queued_bytes_ += response.ByteSizeLong();
    overflow = queued_bytes_ > kMaxQueuedBytes;
    queue_.push_back(std::move(response));
  }
  if (overflow) return CutOff(absl::ResourceExhaustedError("the client reads too slowly"));
  Advance();
}

void GenerateStream::End(absl::Status status) {
  {
    base::MutexLock lock(mutex_);
    if (std::exchange(ended_, true)) return;
    status_ = std::move(status);
  }
  Advance();
}

void GenerateStream::OnDisconnect(absl::AnyInvocable<void()> gone) {
  {
    base::MutexLock lock(mutex_);
    if (!disconnected_) {
      if (!ended_) gone_ = std::move(gone);
      return;
    }
  }
  gone();
}

void GenerateStream::OnWriteDone(bool ok) {
  TakeFromGrpc(this);
  {
    base::MutexLock lock(mutex_);
    writing_ = false;
  }
  if (!ok) return CutOff(absl::CancelledError("the client has gone"));
  Advance();
}

void GenerateStream::OnCancel() {
  TakeFromGrpc(this);
  CutOff(absl::CancelledError("the client has gone"));
}

void GenerateStream::CutOff(absl::Status status) {
  absl::AnyInvocable<void()> gone;
  {
    base::MutexLock lock(mutex_);
    queue_.clear();
    if (!std::exchange(ended_, true)) {
      status_ = std::move(status);
      disconnected_ = true;
      gone = std::exchange(gone_, nullptr);
    }
  }
  if (gone) gone();
  Advance();
}

void GenerateStream::Advance() {
  bool finish = false;
  absl::Status status;
  {
    base::MutexLock lock(mutex_);
    if (writing_ || finished_) return;
    if (!queue_.empty()) {
      in_flight_ = std::move(queue_.front());
      queue_.pop_front();
      queued_bytes_ -= in_flight_.ByteSizeLong();
      writing_ = true;
    } else if (ended_) {
      finished_ = true;
      finish = true;
      status = status_;
    } else {
      return;
    }
  }
  // Outside the lock; whoever set writing_ or finished_ is the only one to get here. After Finish
  // the object may be gone.
  HandToGrpc(this);
  finish ? Finish(rpc::ToGrpcStatus(std::move(status))) : StartWrite(&in_flight_);
}

void GenerateStream::OnDone() {
  TakeFromGrpc(this);
  absl::Status status;
  absl::AnyInvocable<void()> gone;  // its captures go outside the lock
  {
    base::MutexLock lock(mutex_);
    status = status_;
    gone = std::exchange(gone_, nullptr);
  }
  on_done_(status);
  gone = nullptr;
  const std::shared_ptr<GenerateStream> self = std::move(self_);
}

}  // namespace moesaic::router
