#include "placement/drop_useless.h"

#include <algorithm>
#include <vector>

#include "placement/spread_rule.h"

namespace moesaic::placement {
namespace {

struct Surplus {
  std::uint32_t unit, shard;
  double us;  // what it does in its layer
};

std::vector<Surplus> SurplusOf(const PlacementPlan& plan, std::uint32_t layer) {
  std::vector<Surplus> found;
  for (std::uint32_t i = 0; i < plan.problem().units_per_layer; ++i) {
    const std::uint32_t unit = layer * plan.problem().units_per_layer + i;
    const Assignment::Replicas& replicas = plan.assignment().replicas(unit);
    if (replicas.size() <= plan.problem().replicas) continue;
    for (const Assignment::Replica& replica : replicas) {
      found.push_back(
          {unit, replica.shard, plan.model().ShareUs(replica.shard, unit, replica.share)});
    }
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Surplus& a, const Surplus& b) { return a.us < b.us; });
  return found;
}

/// Whether another replica of the unit is there already.
bool HeldElsewhere(const PlacementPlan& plan, std::uint32_t unit, std::uint32_t shard) {
  const Assignment::Replicas& replicas = plan.assignment().replicas(unit);
  return std::any_of(replicas.begin(), replicas.end(), [&](const Assignment::Replica& replica) {
    return replica.shard != shard && plan.Held(replica.shard, unit);
  });
}

}  // namespace

std::size_t DropUseless(PlacementPlan& plan) {
  SpreadRule rule(plan.domains(), plan.problem().replicas);
  std::size_t dropped = 0;
  for (std::uint32_t layer = 0; layer < plan.problem().layers; ++layer) {
    const double limit = plan.assignment().MaxUs(layer) * (1 + 1e-9);
    for (const auto& [unit, shard, us] : SurplusOf(plan, layer)) {
      if (plan.assignment().replicas(unit).size() <= plan.problem().replicas) continue;
      rule.Look(plan.assignment().replicas(unit), shard);
      if (!rule.MayDrop() || !HeldElsewhere(plan, unit, shard)) continue;
      plan.Remove(unit, shard);
      if (plan.assignment().MaxUs(layer) > limit) {
        plan.Add(unit, shard);
        continue;
      }
      plan.Forget(unit, shard);
      ++dropped;
    }
    plan.Settle(layer);
  }
  return dropped;
}

}  // namespace moesaic::placement
