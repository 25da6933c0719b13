#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "placement/assignment.h"
#include "placement/placement_problem.h"

namespace moesaic::placement {

/// What a placement is predicted to cost, for the mean expert call of each layer. A step of a
/// router touches every layer once and each layer waits for its slowest shard. Means of loads, not
/// of maxima: chance within a call makes every placement slower than this.
struct Forecast {
  double step_us = 0;                   ///< Sum over layers of the slowest shard's time.
  std::vector<double> layer_us;         ///< [layers] The slowest shard's time.
  std::vector<double> busy_us;          ///< [shards] Own work of one step.
  std::vector<double> layer_imbalance;  ///< [layers] Slowest time / mean weighted by speed, below.
  /// Of all layers together: step_us / the time of a step in which every shard is equally busy.
  double imbalance = 0;
  double max_experts = 0;        ///< Largest number of distinct experts a shard touches in a call.
  std::uint64_t move_bytes = 0;  ///< What `held` lacks, of all shards.
  std::uint64_t max_move_bytes = 0;  ///< The same, of the shard with most.
};

/// Predicts for `units_of_shard`: [shards], any order, no unit twice on a shard. Units on no shard
/// take no time. Pure.
Forecast ForecastPlacement(const PlacementProblem& problem,
                           absl::Span<const std::vector<std::uint32_t>> units_of_shard);

/// The same for a settled assignment.
Forecast ForecastAssignment(const Assignment& assignment);

/// The time a call of `layer` takes when its load can be cut at will and every shard completes at
/// the same time: a lower bound for any placement.
double PerfectLayerUs(const PlacementProblem& problem, const TimeModel& model, std::uint32_t layer);

}  // namespace moesaic::placement
