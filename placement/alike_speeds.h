#pragma once

#include <vector>

#include "absl/types/span.h"
#include "placement/placement_problem.h"

namespace moesaic::placement {

/// Takes away differences of speed that are no more than noise of their measurement, so that equal
/// machines are given equal work and nothing moves when a measurement wavers: a shard whose time
/// for one row of one expert is within its tolerance of the median's gets the median's speed.
/// tolerance: [shards], factors above 1. Shards that were not measured (0) are left alone. Pure.
void TakeAlikeAsEqual(absl::Span<const double> tolerance, std::vector<ShardCapacity>& shards);

}  // namespace moesaic::placement
