#include "base/compute_pool.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/check.h"

namespace moesaic::base {
namespace {

/// Between the loops of a decode step pass a few microseconds; to wake a thread on a core that
/// sleeps takes 30 to 50, more where the machine is virtual.
constexpr std::chrono::microseconds kLook{20};

/// Waits for `wanted` to hold, for kLook at most. Does not yield: a thread that has given its core
/// away is not asleep, and nothing it waits for brings it back before the other's slice ends.
template <class Condition>
void LookFor(Condition wanted) {
  const auto until = std::chrono::steady_clock::now() + kLook;
  while (!wanted() && std::chrono::steady_clock::now() < until) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
}

}  // namespace

/// One ParallelFor in progress, on its caller's stack: indices are claimed from `next`; the caller
/// leaves when no helper is in it and none can come any more.
struct ComputePool::Loop {
  Loop(std::int64_t count, absl::FunctionRef<void(std::int64_t)> body, std::int64_t places)
      : count(count), body(body), free_places(places) {}

  /// Claims and runs indices until none is left.
  void Work() {
    for (std::int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) body(i);
  }

  const std::int64_t count;
  const absl::FunctionRef<void(std::int64_t)> body;
  std::atomic<std::int64_t> next{0};
  std::atomic<int> helpers{0};  // changed under the pool's lock
  // Of the pool's lock:
  std::int64_t free_places;
  bool caller_blocks = false;
  Loop* older = nullptr;
};

ComputePool::ComputePool(int threads) {
  MOESAIC_CHECK(threads >= 1);
  workers_.reserve(threads);
  for (int i = 0; i < threads; ++i) workers_.emplace_back([this] { Run(); });
}

ComputePool::~ComputePool() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  work_available_.NotifyAll();
  for (std::thread& worker : workers_) worker.join();
}

void ComputePool::Submit(absl::AnyInvocable<void()> task) {
  {
    MutexLock lock(mutex_);
    tasks_.push_back(std::move(task));
    ++on_offer_;
  }
  work_available_.NotifyOne();
}

void ComputePool::ParallelFor(std::int64_t count, absl::FunctionRef<void(std::int64_t)> body) {
  if (count <= 0) return;
  if (count == 1 || threads() == 1) {
    for (std::int64_t i = 0; i < count; ++i) body(i);
    return;
  }
  Loop loop(count, body, std::min<std::int64_t>(threads() - 1, count - 1));
  Begin(loop);
  loop.Work();
  End(loop);
}

void ComputePool::Begin(Loop& loop) {
  const std::int64_t places = loop.free_places;
  {
    MutexLock lock(mutex_);
    loop.older = std::exchange(newest_, &loop);
    on_offer_ += places;
  }
  for (std::int64_t i = 0; i < places; ++i) work_available_.NotifyOne();
}

void ComputePool::End(Loop& loop) {
  {
    MutexLock lock(mutex_);
    Loop** link = &newest_;
    while (*link != &loop) link = &(*link)->older;
    *link = loop.older;
    on_offer_ -= loop.free_places;
  }
  const auto alone = [&] { return loop.helpers.load(std::memory_order_acquire) == 0; };
  LookFor(alone);
  if (alone()) return;
  MutexLock lock(mutex_);
  loop.caller_blocks = true;
  while (!alone()) helper_left_.Wait(mutex_);
}

ComputePool::Loop* ComputePool::Join() {
  for (Loop* loop = newest_; loop != nullptr; loop = loop->older) {
    if (loop->free_places == 0) continue;
    --loop->free_places;
    --on_offer_;
    ++loop->helpers;
    return loop;
  }
  return nullptr;
}

void ComputePool::Leave(Loop& loop) {
  MutexLock lock(mutex_);
  // With the last helper gone the caller may end the loop at once.
  const bool caller_blocks = loop.caller_blocks;
  if (loop.helpers.fetch_sub(1, std::memory_order_acq_rel) == 1 && caller_blocks) {
    helper_left_.NotifyAll();
  }
}

void ComputePool::Run() {
  Loop* loop = nullptr;
  while (true) {
    // The next loop is not far.
    if (loop != nullptr) LookFor([this] { return on_offer_.load(std::memory_order_relaxed) > 0; });
    absl::AnyInvocable<void()> task;
    {
      MutexLock lock(mutex_);
      while (on_offer_ == 0 && !stopping_) work_available_.Wait(mutex_);
      if (on_offer_ == 0) return;
      // A loop in progress goes before work that has not begun.
      loop = Join();
      if (loop == nullptr) {
        task = std::move(tasks_.front());
        tasks_.pop_front();
        --on_offer_;
      }
    }
    if (loop == nullptr) {
      task();
      continue;
    }
    loop->Work();
    Leave(*loop);
  }
}

}  // namespace moesaic::base
