#pragma once

#include "placement/placement_problem.h"

namespace moesaic::placement {

/// Spreads units over shards. In order of importance:
///   1. no shard beyond its memory, no unit twice on a shard;
///   2. every unit once before any twice, then up to `replicas` copies;
///   3. copies of a unit on different nodes;
///   4. every shard the same number of units, as far as 1 and 3 leave a choice;
///   5. what a shard holds stays there;
///   6. units of one layer spread over shards in proportion, copies over different zones.
/// A pure function; the same problem gives the same answer. Shards weigh by count alone: loads and
/// speeds come with the balancer.
PlacementDecision PlaceEvenly(const PlacementProblem& problem);

}  // namespace moesaic::placement
