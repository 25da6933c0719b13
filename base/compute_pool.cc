#include "base/compute_pool.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace moesaic::base {

/// One ParallelFor in progress: indices are claimed from `next`; the caller waits for `done`.
struct ComputePool::Loop {
  Loop(std::int64_t count, absl::FunctionRef<void(std::int64_t)> body) : count(count), body(body) {}

  /// Claims and runs indices until none is left.
  void Work() {
    std::int64_t ran = 0;
    for (std::int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count; ++ran) body(i);
    if (ran == 0) return;
    MutexLock lock(mutex);
    done += ran;
    if (done == count) finished.NotifyAll();
  }

  void Wait() {
    MutexLock lock(mutex);
    while (done != count) finished.Wait(mutex);
  }

  const std::int64_t count;
  // Valid while an index is claimed: the caller of ParallelFor returns only after all have run.
  const absl::FunctionRef<void(std::int64_t)> body;
  std::atomic<std::int64_t> next{0};
  Mutex mutex;
  CondVar finished;
  std::int64_t done ABSL_GUARDED_BY(mutex) = 0;
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
  }
  work_available_.NotifyOne();
}

void ComputePool::ParallelFor(std::int64_t count, absl::FunctionRef<void(std::int64_t)> body) {
  if (count <= 0) return;
  if (count == 1 || threads() == 1) {
    for (std::int64_t i = 0; i < count; ++i) body(i);
    return;
  }
  auto loop = std::make_shared<Loop>(count, body);
  const std::int64_t helpers = std::min<std::int64_t>(threads() - 1, count - 1);
  {
    // In front of the queue: a loop in progress goes before work that has not begun.
    MutexLock lock(mutex_);
    for (std::int64_t i = 0; i < helpers; ++i) tasks_.push_front([loop] { loop->Work(); });
  }
  for (std::int64_t i = 0; i < helpers; ++i) work_available_.NotifyOne();
  loop->Work();
  loop->Wait();
}

void ComputePool::Run() {
  while (true) {
    absl::AnyInvocable<void()> task;
    {
      MutexLock lock(mutex_);
      while (tasks_.empty() && !stopping_) work_available_.Wait(mutex_);
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

}  // namespace moesaic::base
