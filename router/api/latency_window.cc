#include "router/api/latency_window.h"

#include <algorithm>
#include <cmath>

namespace moesaic::router {
namespace {

constexpr double kFirstSeconds = 1e-5;
constexpr double kPerDoubling = 8;

}  // namespace

void LatencyWindow::Add(double seconds, std::uint32_t count) {
  const double place = kPerDoubling * std::log2(std::max(seconds, kFirstSeconds) / kFirstSeconds);
  const int bucket = static_cast<int>(std::min<double>(place, kBuckets - 1));
  counts_[bucket].fetch_add(count, std::memory_order_relaxed);
}

LatencyWindow::Percentiles LatencyWindow::Take() {
  std::array<std::uint64_t, kBuckets> counts;
  std::uint64_t total = 0;
  for (int i = 0; i < kBuckets; ++i) {
    counts[i] = counts_[i].exchange(0, std::memory_order_relaxed);
    total += counts[i];
  }
  const auto at = [&](double quantile) {
    std::uint64_t below = 0;
    for (int i = 0; i < kBuckets; ++i) {
      below += counts[i];
      if (static_cast<double>(below) >= quantile * static_cast<double>(total)) {
        return 1e3 * kFirstSeconds * std::exp2((i + 0.5) / kPerDoubling);
      }
    }
    return 0.0;
  };
  if (total == 0) return {};
  return {.p50_ms = at(0.5), .p95_ms = at(0.95)};
}

}  // namespace moesaic::router
