#include "router/dispatch/flow_limit.h"

#include <algorithm>
#include <cmath>

namespace moesaic::router {
namespace {

/// Wait plus computing may be this many times computing before the limit shrinks.
constexpr double kTolerance = 2;
/// One answer never takes more than half of the limit.
constexpr double kSteepest = 0.5;
/// Weight of one answer.
constexpr double kSmoothing = 0.1;
/// Below this a wait says nothing of a queue, only of thread hand-offs.
constexpr absl::Duration kNoise = absl::Microseconds(500);

}  // namespace

void FlowLimit::OnAnswer(absl::Duration queue_wait, absl::Duration compute,
                         std::uint64_t in_flight) {
  const absl::Duration unloaded = std::max(compute, kNoise);
  const double gradient =
      std::clamp(kTolerance * absl::FDivDuration(unloaded, unloaded + queue_wait), kSteepest, 1.0);
  const bool used = 2.0 * static_cast<double>(in_flight) >= limit_;
  if (gradient == 1.0 && !used) return;  // a limit nobody reaches proves nothing
  const double wanted = gradient * limit_ + (used ? std::sqrt(limit_) : 0.0);
  limit_ = std::clamp((1 - kSmoothing) * limit_ + kSmoothing * wanted, kMin, kMax);
}

}  // namespace moesaic::router
