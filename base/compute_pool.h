#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "base/mutex.h"

namespace moesaic::base {

/// A fixed set of compute threads that block when idle (never spin: router and shards may share
/// cores). Owns its threads; joins them on destruction after running what was submitted.
/// Thread-safe.
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

  /// Calls body(i) once for every i in [0, count), on the calling thread and on idle pool threads,
  /// and returns when all calls have returned. May be called from a pool thread (it never waits
  /// for a thread to become free). Which thread runs which i is unspecified: bodies must not care.
  void ParallelFor(std::int64_t count, absl::FunctionRef<void(std::int64_t)> body);

 private:
  struct Loop;
  void Run();

  Mutex mutex_;
  CondVar work_available_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<absl::AnyInvocable<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> workers_;
};

}  // namespace moesaic::base
