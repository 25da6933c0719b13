#include "base/stream.h"

#include <utility>

namespace moesaic::base {

CpuStream::~CpuStream() {
  MutexLock lock(mutex_);
  while (running_) idle_.Wait(mutex_);
}

void CpuStream::OnComplete(absl::AnyInvocable<void()> done) {
  if (runs_here_) return done();
  Add({.work = [done = std::move(done)](ComputePool&) mutable { done(); },
       .tag = tag_,
       .settles = true});
}

void CpuStream::RunNow(absl::FunctionRef<void(ComputePool&)> work) {
  const std::int64_t began = Now();
  work(pool_);
  run_ns_[tag_].fetch_add(Now() - began, std::memory_order_relaxed);
}

void CpuStream::Add(Item item) {
  {
    MutexLock lock(mutex_);
    items_.push_back(std::move(item));
    if (running_) return;
    running_ = true;
  }
  pool_.Submit([this] { Drain(); });
}

std::array<std::int64_t, CpuStream::kTags> CpuStream::RunNanoseconds() const {
  std::array<std::int64_t, kTags> sums;
  for (int tag = 0; tag < kTags; ++tag) sums[tag] = run_ns_[tag].load(std::memory_order_relaxed);
  return sums;
}

std::int64_t CpuStream::Now() const {
  return clock_ == nullptr ? 0 : absl::ToInt64Nanoseconds(clock_->Monotonic());
}

void CpuStream::Drain() {
  // The clock is read only where the tag changes or somebody is told that all is done.
  int tag = -1;
  std::int64_t since = 0;
  const auto settle = [&](int next) {
    const std::int64_t now = Now();
    if (tag >= 0) run_ns_[tag].fetch_add(now - since, std::memory_order_relaxed);
    tag = next;
    since = now;
  };
  while (true) {
    Item item;
    {
      MutexLock lock(mutex_);
      if (items_.empty()) {
        if (tag >= 0) settle(-1);
        running_ = false;
        idle_.NotifyAll();  // under the lock: after it the stream may be gone
        return;
      }
      item = std::move(items_.front());
      items_.pop_front();
    }
    // What a callback wakes may take this thread's core: that is no item's time.
    if (item.tag != tag || item.settles) settle(item.settles ? -1 : item.tag);
    item.work(pool_);
  }
}

}  // namespace moesaic::base
