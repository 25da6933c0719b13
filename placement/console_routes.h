#pragma once

#include <string>

#include "absl/status/status.h"
#include "base/loop.h"
#include "http/route_table.h"
#include "placement/cluster_view.h"
#include "placement/console_chat.h"
#include "placement/coordinator.h"

namespace moesaic::placement {

/// What the console is made of. Borrowed; all of it outlives the HTTP server. `coordinator` and
/// `view` are touched on `loop` only.
struct ConsoleParts {
  base::Loop& loop;
  const Coordinator& coordinator;
  ClusterView& view;
  ConsoleChat& chat;
};

/// Adds the console: its data, read-only, under /console/api, and the page itself from `directory`
/// under /console, which a browser is told to trust with nothing but its own files. Without the
/// page (an empty or missing directory, which is logged) the data is still served.
void AddConsoleRoutes(const ConsoleParts& parts, const std::string& directory,
                      http::RouteTable& routes);

}  // namespace moesaic::placement
