#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "base/mutex.h"

namespace moesaic::base {

/// A fixed set of compute threads. One that took part in a loop looks for the next for some
/// microseconds, since kernels follow each other closely; otherwise they block when idle: router
/// and shards may share cores. Owns its threads; joins them on destruction after running what was
/// submitted. Thread-safe.
class ComputePool {
 public:
  /// threads ≥ 1.
  explicit ComputePool(int threads);
  ~ComputePool();
  ComputePool(const ComputePool&) = delete;
  ComputePool& operator=(const ComputePool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()); }

  /// Runs `task` on a pool thread, in submission order among idle threads.
  void Submit(absl::AnyInvocable<void()> task);

  /// Calls body(i) once for every i in [0, count), on the calling thread and on at most threads() -
  /// 1 idle pool threads, and returns when all calls have returned. May be called from a pool
  /// thread (it never waits for a thread to become free). Which thread runs which i is unspecified:
  /// bodies must not care. Allocates nothing.
  void ParallelFor(std::int64_t count, absl::FunctionRef<void(std::int64_t)> body);

 private:
  struct Loop;
  void Run();
  /// Takes a place in the newest loop that wants help; nullptr when there is none.
  Loop* Join() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Leave(Loop& loop);
  void Begin(Loop& loop);
  void End(Loop& loop);

  Mutex mutex_;
  CondVar work_available_;
  CondVar helper_left_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<absl::AnyInvocable<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  Loop* newest_ ABSL_GUARDED_BY(mutex_) = nullptr;  // of the loops in progress
  // Tasks, and places that loops have free. Changed under the lock; who looks for work reads it.
  std::atomic<std::int64_t> on_offer_{0};
  std::vector<std::thread> workers_;
};

}  // namespace moesaic::base
