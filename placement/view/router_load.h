#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/moesaic/v1/coordinator.pb.h"

namespace moesaic::placement {

/// What the requests of one tenant that ended in a window used. Plain value.
struct TenantLoad {
  std::string tenant;  ///< As metrics name it.
  std::uint32_t requests = 0;
  std::uint64_t prompt_tokens = 0;
  std::uint64_t cached_prompt_tokens = 0;
  std::uint64_t generated_tokens = 0;
  double cost = 0;        ///< In the currency of the price list, idle time excluded.
  bool unpriced = false;  ///< Some of it ran on nodes without a price: the cost is too low.
  bool operator==(const TenantLoad&) const = default;
};

/// A router's own work in a window, and what it could do. Plain value.
struct RouterLoad {
  std::uint64_t generated_tokens = 0;  ///< Delivered in the window.
  std::uint64_t prompt_tokens = 0;     ///< Computed in the window.
  std::uint32_t waiting = 0;           ///< Generations, now.
  std::uint32_t running = 0;           ///< Generations, now.
  double kv_usage = 0;                 ///< Share of the KV cache in use now, 0 to 1.
  double busy_seconds = 0;             ///< Computed in the window.
  double capacity_tokens_per_s = 0;    ///< Generated tokens at saturation; 0 = not known.
  std::string bottleneck;              ///< What would limit it then, for people.
  std::uint32_t hedges = 0;            ///< Dispatches hedged in the window.
  std::uint32_t retried_units = 0;     ///< (Row, unit) pairs sent again in the window.
  // Percentiles over the window; 0 = nothing happened.
  double ttft_p50_ms = 0;
  double ttft_p95_ms = 0;
  double itl_p50_ms = 0;
  double itl_p95_ms = 0;
  std::vector<TenantLoad> tenants;
  bool operator==(const RouterLoad&) const = default;
};

/// Errors: InvalidArgument for a number that is none, or more tenants than any router names.
absl::StatusOr<RouterLoad> RouterLoadFromProto(const v1::RouterLoad& proto);
v1::RouterLoad RouterLoadToProto(const RouterLoad& load);

}  // namespace moesaic::placement
