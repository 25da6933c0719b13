#include "base/loop.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"

namespace moesaic::base {

Loop::Loop(std::size_t max_queued) : max_queued_(max_queued), thread_([this] { Run(); }) {}

Loop::~Loop() { Stop(); }

absl::Status Loop::Post(absl::AnyInvocable<void()> task) {
  {
    MutexLock lock(mutex_);
    if (stopping_) return absl::UnavailableError("the loop is stopping");
    if (tasks_.size() >= max_queued_) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the loop's queue is full (", max_queued_, " tasks)"));
    }
    tasks_.push_back(std::move(task));
  }
  changed_.NotifyOne();
  return absl::OkStatus();
}

void Loop::PostCompletion(absl::AnyInvocable<void()> task) {
  {
    MutexLock lock(mutex_);
    if (stopping_) return;
    tasks_.push_back(std::move(task));
  }
  changed_.NotifyOne();
}

void Loop::PostAfter(absl::Duration delay, absl::AnyInvocable<void()> task) {
  const absl::Duration due = Clock::Real().Monotonic() + delay;
  {
    MutexLock lock(mutex_);
    if (stopping_) return;
    auto later = std::upper_bound(timers_.begin(), timers_.end(), due,
                                  [](absl::Duration d, const Timer& t) { return d < t.due; });
    timers_.insert(later, Timer{due, std::move(task)});
  }
  changed_.NotifyOne();
}

void Loop::Stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  if (thread_.joinable()) thread_.join();
}

bool Loop::Next(absl::AnyInvocable<void()>& task) {
  MutexLock lock(mutex_);
  while (!stopping_) {
    const absl::Duration now = Clock::Real().Monotonic();
    if (!timers_.empty() && timers_.front().due <= now) {
      task = std::move(timers_.front().task);
      timers_.pop_front();
      return true;
    }
    if (!tasks_.empty()) {
      task = std::move(tasks_.front());
      tasks_.pop_front();
      return true;
    }
    if (timers_.empty()) {
      changed_.Wait(mutex_);
    } else {
      changed_.WaitFor(mutex_, timers_.front().due - now);
    }
  }
  return false;
}

void Loop::Run() {
  absl::AnyInvocable<void()> task;
  while (Next(task)) {
    task();
    task = nullptr;  // what it captured is released before the next wait
  }
}

}  // namespace moesaic::base
