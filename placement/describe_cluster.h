#pragma once

#include "placement/coordinator.h"
#include "proto/moesaic/v1/coordinator.pb.h"

namespace moesaic::placement {

/// One picture of the cluster, as Coordinator.DescribeCluster answers it. To be called on the
/// coordinator's loop.
v1::DescribeClusterResponse DescribeCluster(const Coordinator& coordinator);

}  // namespace moesaic::placement
