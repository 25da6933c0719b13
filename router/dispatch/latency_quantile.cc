#include "router/dispatch/latency_quantile.h"

#include <algorithm>
#include <cmath>

namespace moesaic::router {
namespace {

/// Upper bound of the first bucket: no dispatch over a socket is quicker.
constexpr absl::Duration kSmallest = absl::Microseconds(16);
constexpr double kBucketsPerOctave = 4;

}  // namespace

void LatencyQuantile::Add(absl::Duration duration) {
  const double ratio = std::max(1.0, absl::FDivDuration(duration, kSmallest));
  const int bucket =
      std::min(static_cast<double>(kBuckets - 1), std::ceil(kBucketsPerOctave * std::log2(ratio)));
  ++counts_[bucket];
  if (++samples_ < kWindow) return;
  samples_ = 0;
  for (std::uint16_t& count : counts_) {
    count /= 2;
    samples_ += count;
  }
}

absl::Duration LatencyQuantile::At(double quantile) const {
  const double wanted = quantile * samples_;
  std::uint32_t below = 0;
  for (int bucket = 0; bucket < kBuckets; ++bucket) {
    below += counts_[bucket];
    if (counts_[bucket] > 0 && below >= wanted) {
      return kSmallest * std::exp2(bucket / kBucketsPerOctave);
    }
  }
  return absl::ZeroDuration();
}

}  // namespace moesaic::router
