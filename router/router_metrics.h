#pragma once

#include <string>

#include "monitoring/registry.h"
#include "router/dispatch/expert_dispatcher.h"
#include "router/scheduler/scheduler.h"

namespace moesaic::router {

/// Makes every scrape of `metrics` show what scheduler and dispatcher have counted. All three must
/// outlive the last scrape.
void ExportRouterMetrics(monitoring::Registry& metrics, const Scheduler& scheduler,
                         const ExpertDispatcher& dispatcher);

}  // namespace moesaic::router
