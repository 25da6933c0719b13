#include "services/cli/bench/arrivals.h"

#include <utility>

namespace moesaic::services {

absl::Duration Arrivals::Next() {
  if (left_in_burst_ == 0) {
    left_in_burst_ = options_.burst;
    if (std::exchange(begun_, true)) {
      const double mean_s = options_.burst / options_.rate;
      at_ += absl::Seconds(random_.Gamma(options_.burstiness) / options_.burstiness * mean_s);
    }
  }
  --left_in_burst_;
  return at_;
}

}  // namespace moesaic::services
