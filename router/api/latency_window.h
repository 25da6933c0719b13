#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace moesaic::router {

/// Percentiles of the latencies since they were last taken, from buckets that are an eighth of a
/// doubling wide: within 5 %. Thread-safe.
class LatencyWindow {
 public:
  struct Percentiles {
    double p50_ms = 0;  ///< 0 = nothing was added.
    double p95_ms = 0;
  };

  void Add(double seconds, std::uint32_t count = 1);
  /// Of what was added since the last call.
  Percentiles Take();

 private:
  static constexpr int kBuckets = 200;  // from 10 µs to 5 minutes

  std::array<std::atomic<std::uint32_t>, kBuckets> counts_{};
};

}  // namespace moesaic::router
