#pragma once

#include "http/route_table.h"
#include "monitoring/registry.h"

namespace moesaic::http {

/// GET /metrics: the registry, which must outlive the server, in Prometheus's text format.
void AddMetricsRoute(RouteTable& routes, monitoring::Registry& registry);

}  // namespace moesaic::http
