#pragma once

#include "http/route_table.h"
#include "router/api/api_context.h"

namespace moesaic::router {

/// Adds the endpoints that answer at once: /v1/models (and by id, and without /v1), /health (200
/// only when a request would be served), /live, /version, /metrics.
void AddStatusEndpoints(ApiContext& api, http::RouteTable& routes);

}  // namespace moesaic::router
