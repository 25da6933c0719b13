#pragma once

#include "absl/time/time.h"

namespace moesaic::base {

/// Source of time, passed in so that tests can hold it. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  /// Monotonic time since an arbitrary origin of this process; use it for every duration and
  /// deadline.
  virtual absl::Duration Monotonic() const = 0;
  /// Wall time, for what people read.
  virtual absl::Time Now() const = 0;
  /// The machine's clocks. Lives for the whole process.
  static const Clock& Real();
};

}  // namespace moesaic::base
