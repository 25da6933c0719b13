#pragma once

#include <cstdint>
#include <vector>

#include "placement/load_split.h"
#include "placement/placement_problem.h"

namespace moesaic::placement {

/// How long a shard computes for a unit, with what is unknown filled in:
///   us(shard, unit) = us_per_row(shard) * rows(unit) + us_per_expert(shard) * experts(unit)
/// for the unit's load of one expert call of its layer; a share of it is load_split.h's. A shard
/// that has not been measured is as fast as the mean of those that have; without any, a row takes 1
/// us. A layer without loads counts one row and one expert for each unit; no unit touches more
/// experts than it has rows. Immutable.
class TimeModel {
 public:
  explicit TimeModel(const PlacementProblem& problem);

  double LoadUs(std::uint32_t shard, double rows, double experts) const {
    return us_per_row_[shard] * rows + us_per_expert_[shard] * experts;
  }
  double UnitUs(std::uint32_t shard, std::uint32_t unit) const {
    return LoadUs(shard, rows_[unit], experts_[unit]);
  }
  /// For a share of the unit's rows.
  double ShareUs(std::uint32_t shard, std::uint32_t unit, double share) const {
    return CostOf(shard, unit).Us(share);
  }
  ReplicaCost CostOf(std::uint32_t shard, std::uint32_t unit) const {
    return {.row_us = us_per_row_[shard] * rows_[unit],
            .touch_us = us_per_expert_[shard] * experts_[unit],
            .touch_us_per_share = us_per_expert_[shard] * rows_[unit]};
  }
  /// On a shard of mean speed.
  double MeanUnitUs(std::uint32_t unit) const {
    return mean_us_per_row_ * rows_[unit] + mean_us_per_expert_ * experts_[unit];
  }
  double rows(std::uint32_t unit) const { return rows_[unit]; }
  double experts(std::uint32_t unit) const { return experts_[unit]; }
  bool loads_known() const { return loads_known_; }

 private:
  std::vector<double> us_per_row_, us_per_expert_;  // [shards]
  std::vector<double> rows_, experts_;              // [units]
  double mean_us_per_row_ = 1;
  double mean_us_per_expert_ = 0;
  bool loads_known_ = false;
};

}  // namespace moesaic::placement
