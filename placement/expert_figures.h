#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "placement/coordinator.h"

namespace moesaic::placement {

/// What experts are asked for and who computes it, as far as gauges tell. Plain value.
struct ExpertFigures {
  /// (Row, expert) assignments per second of a shard in a group of eight MoE layers.
  struct Share {
    std::string shard;
    std::string layers;  ///< First and last layer, "3-10".
    double rows_per_s = 0;
  };
  struct HotUnit {
    std::uint32_t number = 0;
    double rows_per_s = 0;
    std::uint32_t live_replicas = 0;
  };
  std::vector<Share> shares;
  std::vector<HotUnit> hottest;  ///< The ten most used, the hottest first.
  /// Predicted busy time of the busiest shard over the mean; 0 = not known.
  double imbalance = 0;
};

/// Costs a prediction for all units: milliseconds for thousands of them.
ExpertFigures MakeExpertFigures(const Coordinator& coordinator);

}  // namespace moesaic::placement
