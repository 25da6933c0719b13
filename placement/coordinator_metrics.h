#pragma once

#include "monitoring/registry.h"
#include "placement/coordinator.h"
#include "placement/expert_figures.h"
#include "placement/node_costs.h"

namespace moesaic::placement {

// These bring the coordinator's series in `registry` up to date. On the coordinator's loop, by one
// caller: counters follow what the coordinator has counted.

void RefreshPlacementMetrics(const Coordinator& coordinator, const ExpertFigures& experts,
                             monitoring::Registry& registry);

/// `budget_per_month`: 0 = nothing was said.
void RefreshNodeCostMetrics(const NodeCosts& costs, double budget_per_month,
                            monitoring::Registry& registry);

}  // namespace moesaic::placement
