#pragma once

#include "monitoring/registry.h"
#include "placement/coordinator.h"

namespace moesaic::placement {

/// Brings the coordinator's gauges in `registry` up to date. On the coordinator's loop.
void RefreshCoordinatorMetrics(const Coordinator& coordinator, monitoring::Registry& registry);

}  // namespace moesaic::placement
