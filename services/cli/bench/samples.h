#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "services/cli/bench/random.h"

namespace moesaic::services {

/// What is said of many times. Seconds; all 0 when there were none. Plain value.
struct Summary {
  std::uint64_t count = 0;
  double mean = 0;
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
  double max = 0;
};

/// Times, for their percentiles. Exact up to `max_kept` of them; beyond, percentiles are those of a
/// random sample of that size (Vitter's algorithm R), count, mean and maximum still of all.
/// Single-thread.
class Samples {
 public:
  explicit Samples(std::size_t max_kept = 4 << 20) : max_kept_(max_kept) {}

  void Add(double seconds);
  Summary Summarize() const;

 private:
  std::size_t max_kept_;
  std::vector<float> kept_;
  Random random_{0, 0};
  std::uint64_t count_ = 0;
  double sum_ = 0;
  double max_ = 0;
};

/// The smallest value that at least `percent` of the values do not exceed (nearest rank). `sorted`
/// ascends and is not empty.
double Percentile(const std::vector<float>& sorted, double percent);

}  // namespace moesaic::services
