#include "placement/spread_rule.h"

#include <algorithm>

namespace moesaic::placement {

SpreadRule::SpreadRule(const FailureDomains& domains, std::uint32_t replicas)
    : domains_(domains),
      replicas_(replicas),
      shard_mark_(domains.node.size(), 0),
      node_mark_(domains.nodes, 0),
      zone_mark_(domains.zones, 0) {}

void SpreadRule::Look(const Assignment::Replicas& replicas, std::optional<std::uint32_t> moving) {
  ++mark_;
  nodes_without_ = zones_without_ = 0;
  for (const Assignment::Replica& replica : replicas) {
    shard_mark_[replica.shard] = mark_;
    if (replica.shard == moving) continue;
    nodes_without_ += node_mark_[domains_.node[replica.shard]] != mark_;
    zones_without_ += !ZoneTaken(replica.shard);
    node_mark_[domains_.node[replica.shard]] = mark_;
    const std::uint32_t zone = domains_.zone[replica.shard];
    if (zone != FailureDomains::kUnknownZone) zone_mark_[zone] = mark_;
  }
  std::uint32_t nodes = nodes_without_, zones = zones_without_;
  if (moving) {
    const int conflict = Conflict(*moving);
    nodes += conflict < 2;
    zones += conflict % 2 == 0;
  }
  const std::uint32_t wanted = std::min(replicas_, static_cast<std::uint32_t>(replicas.size()));
  satisfied_ = nodes >= wanted && zones >= wanted;
  nodes_needed_ = std::min(nodes, wanted);
  zones_needed_ = std::min(zones, wanted);
}

}  // namespace moesaic::placement
