#pragma once

#include <string>
#include <vector>

#include "placement/placement_plan.h"

namespace moesaic::placement {

/// Does what must be done whatever it costs, with as few moves as that takes. In order:
///   1. no shard beyond its memory;
///   2. without known loads, no unit with more replicas than wanted (with them, further replicas
///      stay: they may be of use, and go when their memory is needed);
///   3. every unit once before any twice, then up to the wanted replicas; each replica goes where
///      it is apart from the others (nodes before zones), within an even share of memory for the
///      layer, and where its layer then completes first; a replica too many makes way;
///   4. replicas on one node or in one zone are moved apart where they can be.
/// Returns why, a line per shard that has to load something.
std::vector<std::string> PlaceRequired(PlacementPlan& plan);

}  // namespace moesaic::placement
