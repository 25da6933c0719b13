#include "placement/coordinator_metrics.h"

#include "monitoring/catalogue.h"
#include "placement/describe_cluster.h"

namespace moesaic::placement {

void RefreshCoordinatorMetrics(const Coordinator& coordinator, monitoring::Registry& registry) {
  namespace metrics = monitoring::metrics;
  const Coverage coverage = CoverageOf(coordinator);
  registry.Get(metrics::kUnitsUncovered).Set(coverage.uncovered);
  registry.Get(metrics::kUnitsBelowReplicas).Set(coverage.below_replicas);
  registry.Get(metrics::kUnitsSharingNode).Set(coordinator.shortfall().sharing_node);
  registry.Get(metrics::kUnitsSharingZone).Set(coordinator.shortfall().sharing_zone);
  registry.Get(metrics::kPlacementTerm).Set(static_cast<double>(coordinator.epoch().term));
  registry.Get(metrics::kPlacementVersion).Set(static_cast<double>(coordinator.epoch().version));
  registry.Get(metrics::kMovesInFlight).Set(coordinator.moves().in_flight());
  registry.Get(metrics::kRegisteredShards).Set(coordinator.membership().present());
}

}  // namespace moesaic::placement
