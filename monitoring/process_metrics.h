#pragma once

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "base/clock.h"
#include "monitoring/gpu_metrics.h"
#include "monitoring/registry.h"

namespace moesaic::monitoring {

/// What every process tells of itself: what it is, since when, what it uses of the machine (from
/// /proc) and of its graphics cards, how long its weights took to load and since when it drains.
/// Thread-safe.
class ProcessMetrics {
 public:
  explicit ProcessMetrics(const base::Clock& clock = base::Clock::Real()) : clock_(clock) {}

  /// Adds the series to `registry`, read anew at every scrape. The registry's last scrape must come
  /// before the end of this object. `numerics_id`: empty for a process that computes nothing.
  void Export(Registry& registry, const std::string& version, const std::string& role,
              const std::string& numerics_id);
  /// The weights are there. Only the first call counts.
  void Loaded();
  /// The process begins to drain. Only the first call counts.
  void StartDrain();

 private:
  void Refresh(Registry& registry);

  const base::Clock& clock_;
  const absl::Duration started_ = clock_.Monotonic();
  GpuMetrics gpus_;
  base::Mutex mutex_;
  absl::Duration loaded_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteDuration();
  absl::Duration draining_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteDuration();
};

}  // namespace moesaic::monitoring
