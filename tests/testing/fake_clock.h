#pragma once

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace moesaic::testing {

/// Time that passes when a test says so. Thread-safe.
class FakeClock final : public base::Clock {
 public:
  absl::Duration Monotonic() const override {
    base::MutexLock lock(mutex_);
    return elapsed_;
  }
  absl::Time Now() const override { return absl::UnixEpoch() + Monotonic(); }
  void Advance(absl::Duration duration) {
    base::MutexLock lock(mutex_);
    elapsed_ += duration;
  }

 private:
  mutable base::Mutex mutex_;
  /// Not 0, so that a forgotten "since the origin" shows.
  absl::Duration elapsed_ ABSL_GUARDED_BY(mutex_) = absl::Seconds(1000);
};

}  // namespace moesaic::testing
