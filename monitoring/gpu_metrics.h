#pragma once

#include <memory>
#include <string>

#include "base/mutex.h"
#include "monitoring/registry.h"

namespace moesaic::monitoring {

/// Utilisation, memory, power, energy, temperature and memory errors of the graphics cards, by
/// NVIDIA's management library (NVML), which comes with the driver and is opened at run time: where
/// there is none, there are no series. Thread-safe.
class GpuMetrics {
 public:
  explicit GpuMetrics(const std::string& library = "libnvidia-ml.so.1");
  ~GpuMetrics();
  GpuMetrics(const GpuMetrics&) = delete;
  GpuMetrics& operator=(const GpuMetrics&) = delete;

  /// Cards found; 0 where there is no library.
  int count() const { return count_; }
  /// Brings the series up to date. What a card does not tell has no series.
  void Refresh(Registry& registry);

 private:
  struct Functions;
  void RefreshCard(Registry& registry, int index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void* library_ = nullptr;
  std::unique_ptr<Functions> functions_;  // null unless NVML runs
  int count_ = 0;
  base::Mutex mutex_;  // NVML's own calls are thread-safe; series are brought up to date by one
};

}  // namespace moesaic::monitoring
