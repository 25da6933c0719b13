#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "base/clock.h"
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
/// the whole pool; or at once, on the thread that enqueues them, where that is asked for. Adds up
/// how long they ran, by tag. Destroy only when idle or let the destructor wait for what was
/// enqueued.
class CpuStream final : public Stream {
 public:
  static constexpr int kTags = 8;

  /// Without a clock no time is measured.
  explicit CpuStream(ComputePool& pool, const Clock* clock = nullptr)
      : pool_(pool), clock_(clock) {}
  ~CpuStream() override;

  Device device() const override { return {}; }
  void OnComplete(absl::AnyInvocable<void()> done) override;
  /// Runs `work(pool)` after everything enqueued before. What it refers to must outlive it.
  template <class Work>
  void Enqueue(Work work) {
    if (runs_here_) {
      RunNow(work);
    } else {
      Add({.work = std::move(work), .tag = tag_});
    }
  }

  /// Whether what is enqueued from now on runs in Enqueue, on the calling thread and what idle pool
  /// threads help, and OnComplete calls back at once: for work so short that handing it to another
  /// thread costs more than the caller loses. Only when all that was enqueued before has completed.
  void RunHere(bool here) { runs_here_ = here; }

  /// The time of what is enqueued from now on counts for `tag`, 0 to kTags - 1.
  void SetTag(int tag) { tag_ = tag; }
  /// Nanoseconds in which items of each tag ran since the stream was made. Complete up to the last
  /// OnComplete that was called. Thread-safe.
  std::array<std::int64_t, kTags> RunNanoseconds() const;

 private:
  struct Item {
    absl::AnyInvocable<void(ComputePool&)> work;
    int tag = 0;
    bool settles = false;  ///< All time before it is to be accounted for before it runs.
  };

  void Add(Item item);
  void RunNow(absl::FunctionRef<void(ComputePool&)> work);
  void Drain();
  std::int64_t Now() const;

  ComputePool& pool_;
  const Clock* const clock_;
  int tag_ = 0;             // of the enqueuing thread
  bool runs_here_ = false;  // of the enqueuing thread
  std::array<std::atomic<std::int64_t>, kTags> run_ns_{};
  Mutex mutex_;
  CondVar idle_;
  bool running_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<Item> items_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace moesaic::base
