#pragma once

#include "monitoring/registry.h"
#include "router/dispatch/expert_dispatcher.h"
#include "router/scheduler/scheduler.h"

namespace moesaic::router {

/// Makes every scrape of `metrics` show what scheduler and dispatcher have counted. All three must
/// outlive the last scrape.
void ExportRouterMetrics(monitoring::Registry& metrics, const Scheduler& scheduler,
                         const ExpertDispatcher& dispatcher);

/// The fullest of KV cache, running and waiting generations, as a share of its limit, 0 to 1.
double SaturationRatio(double kv_usage, int running, int max_running, int waiting, int max_waiting);

/// Brings the series of dispatching up to `stats`; a shard that has left has no rows in flight.
void RefreshDispatchMetrics(const DispatchStats& stats, monitoring::Registry& metrics);

}  // namespace moesaic::router
