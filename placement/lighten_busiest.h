#pragma once

#include <vector>

#include "placement/balance_options.h"
#include "placement/placement_plan.h"
#include "placement/shorten_layer.h"

namespace moesaic::placement {

/// Evens out what shards have to do in a whole step: the busiest shard gives units to the one with
/// least to do, in layers that this does not lengthen. With several calls in flight, of several
/// routers or micro-batches, throughput ends where the busiest shard does. Returns the moves.
std::vector<PlacementStep> LightenBusiest(PlacementPlan& plan);

}  // namespace moesaic::placement
