#include "placement/load_split.h"

#include <algorithm>
#include <utility>

#include "absl/container/inlined_vector.h"

namespace moesaic::placement {

double ReplicaCost::Us(double share) const {
  return row_us * share + std::min(touch_us, touch_us_per_share * share);
}

double ReplicaCost::ShareWithin(double us) const {
  if (us <= 0 || row_us <= 0) return 0;
  // Below the knee every row touches an expert of its own, beyond it none does.
  return std::max(us / (row_us + touch_us_per_share), (us - touch_us) / row_us);
}

double CompletionUs(absl::Span<const ReplicaBid> bids) {
  // Each bid's share grows from others_us on, and faster from its knee on: sweep over these times.
  struct Bend {
    double us, slope;
  };
  absl::InlinedVector<Bend, 8> bends;
  for (const auto& [others_us, cost] : bids) {
    if (cost.row_us <= 0) continue;
    const double slow = 1 / (cost.row_us + cost.touch_us_per_share), fast = 1 / cost.row_us;
    bends.push_back({others_us, slow});
    if (cost.touch_us <= 0 || cost.touch_us >= cost.touch_us_per_share) continue;
    const double knee = cost.touch_us / cost.touch_us_per_share;
    bends.push_back({others_us + knee / slow, fast - slow});
  }
  std::sort(bends.begin(), bends.end(), [](const Bend& a, const Bend& b) { return a.us < b.us; });
  double slope = 0, share = 0, at = 0;
  for (const Bend& bend : bends) {
    const double reached = share + slope * (bend.us - at);
    if (reached >= 1) break;
    share = reached;
    at = bend.us;
    slope += bend.slope;
  }
  return slope > 0 ? at + (1 - share) / slope : 0;
}

}  // namespace moesaic::placement
