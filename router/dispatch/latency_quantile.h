#pragma once

#include <array>
#include <cstdint>

#include "absl/time/time.h"

namespace moesaic::router {

/// Quantiles of recent durations in constant memory: a histogram with four buckets per octave
/// (answers are at most 19 % too high), whose counts are halved whenever they have grown to
/// `kWindow`, so that what happened long ago fades. Thread-compatible.
class LatencyQuantile {
 public:
  /// Counts are halved at this total: about the last thousand durations decide.
  static constexpr std::uint32_t kWindow = 1024;

  void Add(absl::Duration duration);
  /// The upper bound of the bucket that holds the quantile; 0 without samples.
  /// Requires: 0 < quantile <= 1.
  absl::Duration At(double quantile) const;
  /// Durations counted, faded ones no longer.
  std::uint32_t samples() const { return samples_; }

 private:
  /// From kSmallest on, 4 buckets per doubling: the last one begins above a minute.
  static constexpr int kBuckets = 88;

  std::array<std::uint16_t, kBuckets> counts_{};
  std::uint32_t samples_ = 0;
};

}  // namespace moesaic::router
