#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "base/mutex.h"

namespace moesaic::shard {

/// What the work of this shard costs, measured on the batches it serves: least squares of
/// time = per_row * rows + per_expert * experts over recent batches, where old ones fade. Both are
/// never negative. Thread-safe.
class SpeedMeter {
 public:
  struct Speed {
    double us_per_row = 0;     ///< Per (row, expert) assignment; 0 = not measured.
    double us_per_expert = 0;  ///< Per distinct expert touched.
  };

  /// Takes in a computed batch. rows, experts: above 0.
  void OnBatch(std::uint32_t rows, std::uint32_t experts, absl::Duration compute);
  Speed speed() const;

 private:
  Speed Solve() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable base::Mutex mutex_;
  // Faded sums of the normal equations, r = rows, e = experts, t = microseconds.
  double rr_ ABSL_GUARDED_BY(mutex_) = 0;
  double re_ ABSL_GUARDED_BY(mutex_) = 0;
  double ee_ ABSL_GUARDED_BY(mutex_) = 0;
  double rt_ ABSL_GUARDED_BY(mutex_) = 0;
  double et_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace moesaic::shard
