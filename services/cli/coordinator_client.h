#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "proto/moesaic/v1/coordinator.pb.h"

namespace moesaic::services {

/// One picture of the cluster from the coordinator at `address`. Errors: those of the call, e.g.
/// Unavailable when it does not answer within 2 s.
absl::StatusOr<v1::DescribeClusterResponse> DescribeCluster(const std::string& address);

}  // namespace moesaic::services
