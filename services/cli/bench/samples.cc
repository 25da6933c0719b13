#include "services/cli/bench/samples.h"

#include <algorithm>
#include <cmath>

namespace moesaic::services {

void Samples::Add(double seconds) {
  max_ = count_ == 0 ? seconds : std::max(max_, seconds);
  ++count_;
  sum_ += seconds;
  if (kept_.size() < max_kept_) {
    kept_.push_back(static_cast<float>(seconds));
    return;
  }
  const auto place =
      static_cast<std::uint64_t>(random_.UniformInt(0, static_cast<std::int64_t>(count_) - 1));
  if (place < kept_.size()) kept_[place] = static_cast<float>(seconds);
}

Summary Samples::Summarize() const {
  if (count_ == 0) return {};
  std::vector<float> sorted = kept_;
  std::sort(sorted.begin(), sorted.end());
  return {.count = count_,
          .mean = sum_ / static_cast<double>(count_),
          .p50 = Percentile(sorted, 50),
          .p90 = Percentile(sorted, 90),
          .p99 = Percentile(sorted, 99),
          .max = max_};
}

double Percentile(const std::vector<float>& sorted, double percent) {
  const double rank = std::ceil(percent / 100 * static_cast<double>(sorted.size()));
  const auto place =
      static_cast<std::size_t>(std::clamp(rank, 1.0, static_cast<double>(sorted.size())));
  return sorted[place - 1];
}

}  // namespace moesaic::services
