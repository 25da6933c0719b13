#include "placement/lighten_busiest.h"

#include <algorithm>
#include <optional>

#include "placement/spread_rule.h"

namespace moesaic::placement {
namespace {

/// A move that takes less of the busiest shard's work is none: a tenth of what has to be gained at
/// all, on a shard of a few dozen units.
constexpr double kLeastProgress = 1e-3;

/// The shard with least to do that has room; nullopt if none has.
std::optional<std::uint32_t> IdlestWithRoom(const PlacementPlan& plan,
                                            const std::vector<double>& busy) {
  std::optional<std::uint32_t> idlest;
  for (std::uint32_t shard = 0; shard < busy.size(); ++shard) {
    if (plan.RoomToMove(shard) > 0 && (!idlest || busy[shard] < busy[*idlest])) idlest = shard;
  }
  return idlest;
}

/// The move between the two that leaves the busier of them with least to do.
/// longest: [layers] what each takes.
std::optional<PlacementStep> BestMove(const PlacementPlan& plan, SpreadRule& rule,
                                      const std::vector<double>& longest,
                                      const std::vector<double>& busy, std::uint32_t from,
                                      std::uint32_t to) {
  const Assignment& assignment = plan.assignment();
  std::optional<PlacementStep> best;
  double best_us = busy[from] * (1 - kLeastProgress);
  for (std::uint32_t layer = 0; layer < plan.problem().layers; ++layer) {
    const double layer_us = longest[layer] * (1 + 1e-9);
    if (assignment.UsOf(layer, to) >= layer_us) continue;
    for (const std::uint32_t unit : assignment.units(layer, from)) {
      if (assignment.Holds(to, unit)) continue;
      double share = 0;
      for (const Assignment::Replica& replica : assignment.replicas(unit)) {
        if (replica.shard == from) share = replica.share;
      }
      const double taken = plan.model().ShareUs(to, unit, share);
      const double after =
          std::max(busy[from] - plan.model().ShareUs(from, unit, share), busy[to] + taken);
      if (after >= best_us || assignment.UsOf(layer, to) + taken > layer_us) continue;
      rule.Look(assignment.replicas(unit), from);
      if (!rule.MayMoveTo(to)) continue;
      best = {.kind = PlacementStep::Kind::kMove, .unit = unit, .from = from, .to = to};
      best_us = after;
    }
  }
  return best;
}

}  // namespace

std::vector<PlacementStep> LightenBusiest(PlacementPlan& plan) {
  std::vector<PlacementStep> steps;
  SpreadRule rule(plan.domains(), plan.problem().replicas);
  std::vector<double> busy = plan.assignment().BusyUs(), longest;
  for (std::uint32_t layer = 0; layer < plan.problem().layers; ++layer) {
    longest.push_back(plan.assignment().MaxUs(layer));
  }
  // Every move takes from the busiest; more than one for each unit would only shuffle.
  while (!busy.empty() && steps.size() < plan.problem().units()) {
    const auto from =
        static_cast<std::uint32_t>(std::max_element(busy.begin(), busy.end()) - busy.begin());
    const std::optional<std::uint32_t> to = IdlestWithRoom(plan, busy);
    if (!to || *to == from) break;
    const std::optional<PlacementStep> step = BestMove(plan, rule, longest, busy, from, *to);
    if (!step) break;
    const std::uint32_t layer = plan.assignment().LayerOf(step->unit);
    for (const auto& replica : plan.assignment().replicas(step->unit)) {
      busy[replica.shard] -= plan.assignment().UsOf(layer, replica.shard);
    }
    busy[*to] -= plan.assignment().UsOf(layer, *to);
    const Assignment::Replicas before = plan.assignment().replicas(step->unit);
    plan.Remove(step->unit, from);
    plan.Add(step->unit, *to);
    for (const auto& replica : before) {
      busy[replica.shard] += plan.assignment().UsOf(layer, replica.shard);
    }
    busy[*to] += plan.assignment().UsOf(layer, *to);
    longest[layer] = plan.assignment().MaxUs(layer);
    steps.push_back(*step);
  }
  for (std::uint32_t layer = 0; layer < plan.problem().layers; ++layer) plan.Settle(layer);
  return steps;
}

}  // namespace moesaic::placement
