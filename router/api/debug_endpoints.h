#pragma once

#include "http/route_table.h"
#include "router/api/api_context.h"

namespace moesaic::router {

/// GET /debug/requests and GET /debug/trace/{id}, for operators: which requests there were, and
/// what happened to one of them. No prompt and no answer is shown.
void AddDebugEndpoints(ApiContext& api, http::RouteTable& routes);

}  // namespace moesaic::router
