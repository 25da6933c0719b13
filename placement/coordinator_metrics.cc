#include "placement/coordinator_metrics.h"

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "monitoring/catalogue.h"
#include "monitoring/raise_to.h"
#include "placement/describe_cluster.h"

namespace moesaic::placement {
namespace {

namespace metrics = monitoring::metrics;
using Samples = std::vector<monitoring::Registry::Sample>;

void RefreshMembers(const Coordinator& coordinator, monitoring::Registry& registry) {
  std::size_t serving = 0, replicas = 0;
  for (const auto& [id, member] : coordinator.membership().members()) {
    serving += Coordinator::Serves(member);
    if (member.state == Member::State::kLive) replicas += member.held.size();
  }
  registry.Get(metrics::kRegisteredShards).Set(coordinator.membership().present());
  registry.Get(metrics::kConnectedRouters).Set(static_cast<double>(coordinator.routers().size()));
  registry.Get(metrics::kServingShards).Set(static_cast<double>(serving));
  registry.Get(metrics::kReadyReplicas).Set(static_cast<double>(replicas));
  registry.Get(metrics::kDesiredShards).Set(coordinator.policy().expect_shards);
  registry.Get(metrics::kRemovalsFrozen).Set(coordinator.frozen());
  RaiseTo(coordinator.counts().shards_lost, registry.Get(metrics::kShardsLostTotal));
}

void RefreshCoverage(const Coordinator& coordinator, monitoring::Registry& registry) {
  const Coverage coverage = CoverageOf(coordinator);
  registry.Get(metrics::kUnitsUncovered).Set(coverage.uncovered);
  registry.Get(metrics::kUnitsBelowReplicas).Set(coverage.below_replicas);
  registry.Get(metrics::kUnitsSharingNode).Set(coordinator.shortfall().sharing_node);
  registry.Get(metrics::kUnitsSharingZone).Set(coordinator.shortfall().sharing_zone);
  registry.Get(metrics::kPlacementTerm).Set(static_cast<double>(coordinator.epoch().term));
  registry.Get(metrics::kPlacementVersion).Set(static_cast<double>(coordinator.epoch().version));
}

void RefreshMoves(const Coordinator& coordinator, monitoring::Registry& registry) {
  const Coordinator::Counts& counts = coordinator.counts();
  const auto rebalances = [&](const char* reason, std::uint64_t total) {
    RaiseTo(total, registry.Get(metrics::kRebalancesTotal, {reason}));
  };
  rebalances("membership", counts.rebalances_by_membership);
  rebalances("load", counts.rebalances_by_load);
  rebalances("request", counts.rebalances_by_request);
  rebalances("emergency", counts.rebalances_by_emergency);
  const MoveTotals& moves = coordinator.moves().totals();
  RaiseTo(moves.loads_ok, registry.Get(metrics::kMovesTotal, {"load", "ok"}));
  RaiseTo(moves.loads_failed, registry.Get(metrics::kMovesTotal, {"load", "failed"}));
  RaiseTo(moves.unloads_ok, registry.Get(metrics::kMovesTotal, {"unload", "ok"}));
  RaiseTo(moves.unloads_failed, registry.Get(metrics::kMovesTotal, {"unload", "failed"}));
  const std::uint64_t unit_bytes =
      coordinator.membership().model() ? coordinator.membership().topology().unit_bytes : 0;
  RaiseTo(moves.units.loaded * unit_bytes, registry.Get(metrics::kMovedBytesTotal));
  registry.Get(metrics::kMovesInFlight).Set(coordinator.moves().in_flight());
  registry.Get(metrics::kRebalancing).Set(!coordinator.AtWanted());
}

void RefreshExperts(const ExpertFigures& experts, monitoring::Registry& registry) {
  Samples shares, rates, replicas, imbalance;
  for (const ExpertFigures::Share& share : experts.shares) {
    shares.push_back({{share.shard, share.layers}, share.rows_per_s});
  }
  for (std::size_t i = 0; i < experts.hottest.size(); ++i) {
    const std::string rank = absl::StrCat(i + 1);
    rates.push_back({{rank}, experts.hottest[i].rows_per_s});
    replicas.push_back({{rank}, static_cast<double>(experts.hottest[i].live_replicas)});
  }
  if (experts.imbalance > 0) imbalance.push_back({{}, experts.imbalance});
  registry.SetSeries(metrics::kExpertTokensPerSecond, shares);
  registry.SetSeries(metrics::kHotExpertTokensPerSecond, rates);
  registry.SetSeries(metrics::kHotExpertReplicas, replicas);
  registry.SetSeries(metrics::kExpertImbalanceRatio, imbalance);
}

}  // namespace

void RefreshPlacementMetrics(const Coordinator& coordinator, const ExpertFigures& experts,
                             monitoring::Registry& registry) {
  RefreshMembers(coordinator, registry);
  RefreshCoverage(coordinator, registry);
  RefreshMoves(coordinator, registry);
  RefreshExperts(experts, registry);
  const ClusterLoad::Now load = coordinator.cluster_load().At(coordinator.now());
  registry.Get(metrics::kClusterThroughputTokensPerSecond).Set(load.tokens_per_s);
  registry.Get(metrics::kClusterCapacityTokensPerSecond).Set(load.capacity_tokens_per_s);
}

void RefreshNodeCostMetrics(const NodeCosts& costs, double budget_per_month,
                            monitoring::Registry& registry) {
  Samples nodes, per_hour, budget;
  std::map<std::pair<std::string, std::string>, double> on_demand;  // spot and not, together
  for (const NodeCosts::Line& line : costs.lines) {
    const std::vector<std::string> labels = {line.role, line.node_type, line.capacity_type};
    nodes.push_back({labels, line.nodes});
    if (line.per_hour) per_hour.push_back({labels, *line.per_hour});
    if (line.on_demand_per_hour) {
      on_demand[{line.role, line.node_type}] += *line.on_demand_per_hour;
    }
  }
  Samples on_demand_samples;
  for (const auto& [labels, value] : on_demand) {
    on_demand_samples.push_back({{labels.first, labels.second}, value});
  }
  if (budget_per_month > 0) budget.push_back({{}, budget_per_month});
  registry.SetSeries(metrics::kNodes, nodes);
  registry.SetSeries(metrics::kNodeCostUsdPerHour, per_hour);
  registry.SetSeries(metrics::kNodeCostOnDemandUsdPerHour, on_demand_samples);
  registry.Get(metrics::kNodesWithoutPrice).Set(costs.nodes_without_price);
  registry.SetSeries(metrics::kBudgetUsdPerMonth, budget);
}

}  // namespace moesaic::placement
