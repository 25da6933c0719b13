#pragma once

#include "http/exchange.h"
#include "http/route_table.h"

namespace moesaic::http {

/// Whom debug pages answer: they change how a process logs and show what it does, which is for
/// those who operate it. A plain value.
struct DebugAccess {
  /// Beyond loopback too, which an operator says with --insecure.
  bool remote = false;
};

/// `handler` for whoever may see debug pages; others get 403.
Handler ForOperators(DebugAccess access, Handler handler);

/// GET and PUT /debug/log-level: {"level": "debug"}, the least level that this process logs. PUT
/// takes the same, or the bare word.
void AddLogLevelRoute(DebugAccess access, RouteTable& routes);

}  // namespace moesaic::http
