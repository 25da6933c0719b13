#pragma once

#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "router/trace/request_trace.h"

namespace moesaic::router {

/// A request's timeline in the trace event format of Chrome, as one JSON object that Perfetto
/// (ui.perfetto.dev) and chrome://tracing open:
/// https://perfetto.dev/docs/getting-started/other-formats. The router is a process with tracks for
/// the request, the steps and the layers; each shard is one, with as many tracks as dispatches
/// overlapped. A shard says how long a dispatch waited and was computed, not when: both stand in
/// the middle of the round trip, which is the router's own measurement. Times are microseconds from
/// the arrival. `now`: monotonic, ends what still runs.
std::string ChromeTrace(const RequestTrace& trace, std::string_view router, absl::Duration now);

}  // namespace moesaic::router
