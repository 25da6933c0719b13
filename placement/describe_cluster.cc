#include "placement/describe_cluster.h"

#include <algorithm>
#include <string>
#include <vector>

namespace moesaic::placement {
namespace {

std::string StateOf(const Coordinator& coordinator, const Member& member) {
  if (member.state == Member::State::kExpired) return "EXPIRED";
  if (member.state == Member::State::kSuspect) return "SUSPECT";
  if (member.draining) return "DRAINING";
  const std::vector<std::uint32_t>& assigned = coordinator.AssignedTo(member.id);
  const bool complete =
      std::includes(member.held.begin(), member.held.end(), assigned.begin(), assigned.end());
  return complete && !member.held.empty() ? "SERVING" : "LOADING";
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
  return coordinator.ProblemOf(member.id);
}

void DescribeMember(const Coordinator& coordinator, const Member& member, v1::ShardStatus& status) {
  v1::PlacedShard& placed = *status.mutable_placed();
  placed.set_shard_id(member.id.value());
  placed.set_shard(member.description.name);
  placed.set_address(member.description.address);
  placed.set_node(member.description.node);
  placed.set_zone(member.description.zone);
  placed.set_incarnation(member.description.incarnation);
  placed.set_us_per_row(member.description.us_per_row);
  placed.set_us_per_expert(member.description.us_per_expert);
  placed.set_draining(member.draining);
  status.set_state(StateOf(coordinator, member));
  status.set_held_bytes(member.held_bytes);
  status.set_memory_bytes(member.description.memory_bytes);
  status.set_held_units(static_cast<std::uint32_t>(member.held.size()));
  status.set_assigned_units(static_cast<std::uint32_t>(coordinator.AssignedTo(member.id).size()));
  status.set_expert_rows_total(member.expert_rows_total);
  status.set_problem(ProblemOf(coordinator, member));
  status.set_build(member.description.build);
}

/// Counts units without, and with fewer than the wanted, replicas in the published placement.
void CountCoverage(const Coordinator& coordinator, v1::DescribeClusterResponse& response) {
  const ExpertTopology& topology = coordinator.membership().topology();
  response.set_units_total(topology.units_total());
  std::uint32_t uncovered = 0;
  std::uint32_t below = 0;
  for (std::uint32_t number = 0; number < topology.units_total(); ++number) {
    const UnitKey key = topology.KeyOf(number);
    const auto& map = coordinator.published();
    const std::size_t holders = map == nullptr ? 0 : map->Holders(key.layer, key.unit).size();
    uncovered += holders == 0 ? 1 : 0;
    below += holders < coordinator.policy().replicas ? 1 : 0;
  }
  response.set_units_uncovered(uncovered);
  response.set_units_below_replicas(below);
}

}  // namespace

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
  }
  for (const std::string& warning : coordinator.warnings()) response.add_warnings(warning);
  if (!coordinator.membership().model()) return response;
  *response.mutable_model() = IdentityToProto(*coordinator.membership().model());
  *response.mutable_topology() = TopologyToProto(coordinator.membership().topology());
  CountCoverage(coordinator, response);
  return response;
}

}  // namespace moesaic::placement
