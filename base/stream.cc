#include "base/stream.h"

#include <utility>

namespace moesaic::base {

CpuStream::~CpuStream() {
  MutexLock lock(mutex_);
  while (running_) idle_.Wait(mutex_);
}

void CpuStream::OnComplete(absl::AnyInvocable<void()> done) {
  Enqueue([done = std::move(done)](ComputePool&) mutable { done(); });
}

void CpuStream::Enqueue(absl::AnyInvocable<void(ComputePool&)> work) {
  {
    MutexLock lock(mutex_);
    items_.push_back(std::move(work));
    if (running_) return;
    running_ = true;
  }
  pool_.Submit([this] { Drain(); });
}

void CpuStream::Drain() {
  while (true) {
    absl::AnyInvocable<void(ComputePool&)> work;
    {
      MutexLock lock(mutex_);
      if (items_.empty()) {
        running_ = false;
        idle_.NotifyAll();  // under the lock: after it the stream may be gone
        return;
      }
      work = std::move(items_.front());
      items_.pop_front();
    }
    work(pool_);
  }
}

}  // namespace moesaic::base
