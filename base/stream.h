#pragma once

#include <deque>

#include "absl/functional/any_invocable.h"
#include "base/compute_pool.h"
#include "base/mutex.h"
#include "base/tensor.h"

namespace moesaic::base {

/// An ordered queue of device work. Kernels are launched on one and return at once; nobody waits on
/// it: completion is an event. Enqueue from one thread at a time (thread-compatible).
class Stream {
 public:
  virtual ~Stream() = default;
  virtual Device device() const = 0;
  /// Calls `done` on some thread of the stream's choice after all work enqueued before it. `done`
  /// must be short and must not block (post to a loop).
  virtual void OnComplete(absl::AnyInvocable<void()> done) = 0;
};

/// The host's stream: a FIFO whose items run one after another on a ComputePool, each free to use
/// the whole pool. Destroy only when idle or let the destructor wait for what was enqueued.
class CpuStream final : public Stream {
 public:
  explicit CpuStream(ComputePool& pool) : pool_(pool) {}
  ~CpuStream() override;

  Device device() const override { return {}; }
  void OnComplete(absl::AnyInvocable<void()> done) override;
  /// Runs `work(pool)` after everything enqueued before. What it refers to must outlive it.
  void Enqueue(absl::AnyInvocable<void(ComputePool&)> work);

 private:
  void Drain();

  ComputePool& pool_;
  Mutex mutex_;
  CondVar idle_;
  bool running_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<absl::AnyInvocable<void(ComputePool&)>> items_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace moesaic::base
