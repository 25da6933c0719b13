#pragma once

#include "placement/balance_options.h"
#include "placement/placement_problem.h"

namespace moesaic::placement {

/// Places units so that a step is predicted to take least time (forecast.h). In order:
///   1. what must be done whatever it costs (place_required.h): memory, every unit once before any
///      twice, the wanted replicas, apart from each other;
///   2. for speed, from where things are: units leave the slowest shard of a layer, hot ones get
///      further replicas (shorten_layer.h); then the busiest shard is relieved (lighten_busiest.h);
///   3. 2 is kept only if it gains enough to pay for its moves (balance_options.h), so that noise
///      in the loads moves nothing. What is held stays unless a move pays.
/// When nothing is held, everything has to be loaded, and 2 costs nothing.
/// A pure function; the same problem gives the same answer.
PlacementDecision PlaceByPredictedTime(const PlacementProblem& problem,
                                       const BalanceOptions& options = {});

}  // namespace moesaic::placement
