#include "placement/describe_cluster.h"

#include <algorithm>
#include <string>
#include <vector>

#include "placement/forecast.h"
#include "placement/view/node_share_proto.h"

namespace moesaic::placement {
namespace {

v1::EventKind KindToProto(EventLog::Kind kind) {
  switch (kind) {
    case EventLog::Kind::kDecision:
      return v1::EVENT_KIND_DECISION;
    case EventLog::Kind::kChange:
      return v1::EVENT_KIND_CHANGE;
    case EventLog::Kind::kTrouble:
      return v1::EVENT_KIND_TROUBLE;
    case EventLog::Kind::kRecovery:
      return v1::EVENT_KIND_RECOVERY;
  }
  return v1::EVENT_KIND_UNSPECIFIED;
}

std::string StateOf(const Coordinator& coordinator, const Member& member) {
  if (member.state == Member::State::kExpired) return "EXPIRED";
  if (member.state == Member::State::kSuspect) return "SUSPECT";
  if (member.draining) return "DRAINING";
  if (member.evacuating) return member.held.empty() ? "EVACUATED" : "EVACUATING";
  const std::vector<std::uint32_t>& assigned = coordinator.wanted().UnitsOf(member.id);
  const bool complete =
      std::includes(member.held.begin(), member.held.end(), assigned.begin(), assigned.end());
  if (complete && !member.held.empty()) return "SERVING";
  // A shard may be given nothing, where it would make no step faster.
  return complete && !coordinator.assignment_pending() ? "IDLE" : "LOADING";
}

std::string ProblemOf(const Coordinator& coordinator, const Member& member) {
  switch (member.state) {
    case Member::State::kExpired:
      return "silent for a lease";
    case Member::State::kSuspect:
      return "its connection broke";
    case Member::State::kLive:
      break;
  }
  return coordinator.moves().ProblemOf(member.id);
}

void DescribeMember(const Coordinator& coordinator, const Member& member, v1::ShardStatus& status) {
  v1::PlacedShard& placed = *status.mutable_placed();
  placed.set_shard_id(member.id.value());
  placed.set_shard(member.description.name);
  placed.set_address(member.description.address);
  placed.set_node(member.description.node);
  placed.set_zone(member.description.zone);
  placed.set_incarnation(member.description.incarnation);
  placed.set_us_per_row(member.us_per_row);
  placed.set_us_per_expert(member.us_per_expert);
  placed.set_draining(member.draining);
  NodeShareToProto(member.description.node_share, placed);
  status.set_state(StateOf(coordinator, member));
  status.set_held_bytes(member.held_bytes);
  status.set_memory_bytes(member.description.memory_bytes);
  status.set_held_units(static_cast<std::uint32_t>(member.held.size()));
  status.set_assigned_units(
      static_cast<std::uint32_t>(coordinator.wanted().UnitsOf(member.id).size()));
  status.set_expert_rows_total(member.expert_rows_total);
  status.set_problem(ProblemOf(coordinator, member));
  status.set_build(member.description.build);
  status.set_device_kind(member.description.device_kind);
  status.set_price_class(member.description.node_share.price_class);
  status.set_busy_ratio(member.busy_ratio);
  status.set_http_address(member.description.http_address);
  status.set_rows_per_s(coordinator.loads().Of(member.id, coordinator.now()).rows_per_s);
}

v1::PlacementForecast ForecastToProto(const PlacementProblem& problem,
                                      const std::vector<std::vector<std::uint32_t>>& placement) {
  const Forecast forecast = ForecastPlacement(problem, placement);
  v1::PlacementForecast proto;
  proto.set_step_us(forecast.step_us);
  proto.set_max_over_mean(forecast.imbalance);
  return proto;
}

}  // namespace

Coverage CoverageOf(const Coordinator& coordinator) {
  Coverage coverage;
  if (!coordinator.membership().model()) return coverage;
  const ExpertTopology& topology = coordinator.membership().topology();
  const auto& map = coordinator.published();
  for (std::uint32_t number = 0; number < topology.units_total(); ++number) {
    const UnitKey key = topology.KeyOf(number);
    const auto holders =
        map == nullptr ? absl::Span<const base::ShardId>() : map->Holders(key.layer, key.unit);
    const auto live = std::count_if(holders.begin(), holders.end(), [&](base::ShardId id) {
      const Member* const member = coordinator.membership().Find(id);
      return member != nullptr && member->state == Member::State::kLive;
    });
    coverage.uncovered += live == 0;
    coverage.below_replicas += live < coordinator.policy().replicas;
  }
  return coverage;
}

v1::DescribeClusterResponse DescribeCluster(const Coordinator& coordinator) {
  v1::DescribeClusterResponse response;
  *response.mutable_epoch() = EpochToProto(coordinator.epoch());
  response.set_replicas_wanted(coordinator.policy().replicas);
  for (const auto& [id, member] : coordinator.membership().members()) {
    DescribeMember(coordinator, member, *response.add_shards());
  }
  for (const auto& [session, router] : coordinator.routers()) {
    v1::RouterStatus& status = *response.add_routers();
    status.set_router(router.name);
    *status.mutable_acknowledged() = EpochToProto(router.acknowledged);
    *status.mutable_registration() = RouterDescriptionToProto(router.description);
    *status.mutable_load() = RouterLoadToProto(router.load);
  }
  for (const std::string& warning : coordinator.warnings()) response.add_warnings(warning);
  for (const EventLog::Event& event : coordinator.events().events()) {
    v1::Event& proto = *response.add_events();
    proto.set_age_s(absl::ToDoubleSeconds(coordinator.now() - event.at));
    proto.set_text(event.text);
    proto.set_kind(KindToProto(event.kind));
  }
  response.set_policy(std::string(PlacementPolicyName(coordinator.policy().placement)));
  response.set_moves_in_flight(coordinator.moves().in_flight());
  if (!coordinator.membership().model()) return response;
  *response.mutable_model() = IdentityToProto(*coordinator.membership().model());
  *response.mutable_topology() = TopologyToProto(coordinator.membership().topology());
  const Coverage coverage = CoverageOf(coordinator);
  response.set_units_total(coordinator.membership().topology().units_total());
  response.set_units_uncovered(coverage.uncovered);
  response.set_units_below_replicas(coverage.below_replicas);
  response.set_units_sharing_node(coordinator.shortfall().sharing_node);
  response.set_units_sharing_zone(coordinator.shortfall().sharing_zone);
  return response;
}

v1::RebalanceResponse DescribePlan(const Coordinator& coordinator, const Coordinator::Plan& plan) {
  v1::RebalanceResponse response;
  std::vector<std::vector<std::uint32_t>> before;
  for (std::size_t i = 0; i < plan.problem.shards.size(); ++i) {
    const base::ShardId id = plan.problem.shards[i].id;
    before.push_back(coordinator.wanted().UnitsOf(id));
    const std::vector<std::uint32_t>& after = plan.decision.units_of_shard[i];
    const std::size_t loads = UnitDifference(after, before.back()).size();
    const std::size_t unloads = UnitDifference(before.back(), after).size();
    if (loads + unloads == 0) continue;
    v1::ShardChange& change = *response.add_changes();
    change.set_shard(coordinator.membership().Find(id)->description.name);
    change.set_loads(static_cast<std::uint32_t>(loads));
    change.set_unloads(static_cast<std::uint32_t>(unloads));
    response.set_bytes(response.bytes() + loads * plan.problem.unit_bytes);
  }
  *response.mutable_before() = ForecastToProto(plan.problem, before);
  *response.mutable_after() = ForecastToProto(plan.problem, plan.decision.units_of_shard);
  for (const std::string& reason : plan.decision.reasons) response.add_reasons(reason);
  for (const std::string& warning : plan.decision.warnings) response.add_warnings(warning);
  return response;
}

}  // namespace moesaic::placement
