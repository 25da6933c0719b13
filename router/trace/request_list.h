#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "router/trace/trace_store.h"

namespace moesaic::router {

/// Which requests /debug/requests lists. Plain value.
struct RequestQuery {
  enum class Order { kLatest, kDuration, kFirstToken };
  Order order = Order::kLatest;
  int limit = 20;
  double min_duration_seconds = 0;
  double min_first_token_seconds = 0;
  std::string tenant;   ///< Empty = of all.
  std::string outcome;  ///< Likewise; "running" for those that have not ended.
};

/// Reads `slowest=N`, `slowest_ttft=N`, `limit=N`, `min_ms=`, `min_ttft_ms=`, `tenant=` and
/// `outcome=`, joined by '&'. Errors: InvalidArgument naming what it does not know.
absl::StatusOr<RequestQuery> ParseRequestQuery(std::string_view query);

/// The requests as a JSON object {"requests": […]}, each with its ids, outcome and times.
std::string RequestList(const TraceStore& store, const RequestQuery& query, absl::Duration now);

}  // namespace moesaic::router
