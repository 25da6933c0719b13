#include "placement/placement_plan.h"

#include <algorithm>

namespace moesaic::placement {

PlacementPlan::PlacementPlan(const PlacementProblem& problem, const TimeModel& model,
                             const FailureDomains& domains)
    : assignment_(problem, model),
      domains_(&domains),
      fits_(UnitsThatFit(problem)),
      quotas_(LayerQuotas(fits_, problem.layers)),
      occupied_(fits_.size(), 0),
      full_busy_us_(fits_.size(), 0) {
  for (const ShardCapacity& shard : problem.shards) {
    std::vector<std::uint32_t> held = shard.held;
    std::sort(held.begin(), held.end());
    held.erase(std::unique(held.begin(), held.end()), held.end());
    while (!held.empty() && held.back() >= problem.units()) held.pop_back();
    anything_held_ |= !held.empty();
    occupied_[held_.size()] = static_cast<std::uint32_t>(held.size());
    held_.push_back(std::move(held));
  }
  for (std::uint32_t shard = 0; shard < held_.size(); ++shard) {
    for (const std::uint32_t unit : held_[shard]) Add(unit, shard);
  }
  assignment_.SettleAll();
}

void PlacementPlan::Add(std::uint32_t unit, std::uint32_t shard) {
  assignment_.Add(unit, shard);
  full_busy_us_[shard] += model().UnitUs(shard, unit);
  if (!Held(shard, unit)) ++occupied_[shard];
}

void PlacementPlan::Remove(std::uint32_t unit, std::uint32_t shard) {
  assignment_.Remove(unit, shard);
  full_busy_us_[shard] -= model().UnitUs(shard, unit);
  if (!Held(shard, unit)) --occupied_[shard];
}

void PlacementPlan::Forget(std::uint32_t unit, std::uint32_t shard) {
  std::vector<std::uint32_t>& held = held_[shard];
  const auto found = std::lower_bound(held.begin(), held.end(), unit);
  if (found == held.end() || *found != unit) return;
  held.erase(found);
  --occupied_[shard];
}

void PlacementPlan::Divide(std::uint32_t layer, std::uint32_t shard) {
  for (const std::uint32_t unit : assignment_.units(layer, shard)) {
    if (assignment_.replicas(unit).size() > 1) assignment_.Divide(unit);
  }
}

bool PlacementPlan::Held(std::uint32_t shard, std::uint32_t unit) const {
  return std::binary_search(held_[shard].begin(), held_[shard].end(), unit);
}

}  // namespace moesaic::placement
