#pragma once

#include "placement/coordinator.h"
#include "proto/moesaic/v1/coordinator.pb.h"

namespace moesaic::placement {

// All of this is to be called on the coordinator's loop.

/// How well live shards of the published placement cover the model, in units.
struct Coverage {
  std::uint32_t uncovered = 0;       ///< Without a live replica.
  std::uint32_t below_replicas = 0;  ///< With fewer live replicas than wanted.
};
Coverage CoverageOf(const Coordinator& coordinator);

/// One picture of the cluster, all but its summary (ClusterView adds it).
v1::DescribeClusterResponse DescribeCluster(const Coordinator& coordinator);

/// What a plan would change and bring, as Coordinator.Rebalance answers it.
v1::RebalanceResponse DescribePlan(const Coordinator& coordinator, const Coordinator::Plan& plan);

}  // namespace moesaic::placement
