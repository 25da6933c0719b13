#pragma once

#include <deque>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/mutex.h"

namespace moesaic::base {

/// One thread that runs posted tasks in order and owns whatever state only its tasks touch.
/// The queue for outside work is bounded; completions of work the loop itself started are always
/// taken. Thread-safe; destruction stops it after the task in progress and drops the rest.
class Loop {
 public:
  /// `max_queued` bounds Post.
  explicit Loop(std::size_t max_queued);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Errors: ResourceExhausted when the queue is full; Unavailable when the loop is stopping.
  absl::Status Post(absl::AnyInvocable<void()> task);
  /// For completions: never refused for length (their number is bounded by what was started).
  void PostCompletion(absl::AnyInvocable<void()> task);
  /// Runs `task` once, not before `delay` has passed.
  void PostAfter(absl::Duration delay, absl::AnyInvocable<void()> task);
  bool OnLoopThread() const { return std::this_thread::get_id() == thread_.get_id(); }
  /// Stops and joins; idempotent. Not to be called on the loop's thread.
  void Stop();

 private:
  struct Timer {
    absl::Duration due;
    absl::AnyInvocable<void()> task;
  };
  void Run();
  /// Moves the next runnable task out; blocks until there is one or the loop stops.
  bool Next(absl::AnyInvocable<void()>& task);

  const std::size_t max_queued_;
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<absl::AnyInvocable<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  std::deque<Timer> timers_ ABSL_GUARDED_BY(mutex_);  // sorted by due
  std::thread thread_;
};

}  // namespace moesaic::base
