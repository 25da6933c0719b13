#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "http/client.h"

namespace moesaic::services {

/// Steps of one kind, prefill or decode: how many, of how many rows, and where their time went.
/// Plain value.
struct StepSums {
  double steps = 0;
  double rows = 0;
  std::map<std::string, double> phase_s;  ///< By phase of moesaic_step_phase_seconds_total.

  double total_s() const;
};

/// What a router has counted of its steps up to a moment. Plain value.
struct StepCounters {
  absl::Duration at;                      ///< Monotonic.
  std::map<std::string, StepSums> kinds;  ///< "prefill" and "decode".
};

/// Where the time of a load went. Plain value.
struct StepProfile {
  double wall_s = 0;
  std::map<std::string, StepSums> kinds = {};

  /// The time in which there was no step.
  double idle_s() const;
};

/// Takes the counters out of what /metrics says. Errors: NotFound when this is no router's.
absl::StatusOr<StepCounters> ReadStepCounters(std::string_view metrics);

/// Fetches them. `base_url`: of the API; the metrics are beside its /v1. Errors: FailedPrecondition
/// when the server is no Moesaic router.
absl::StatusOr<StepCounters> FetchStepCounters(const std::string& base_url,
                                               const http::ClientOptions& options);

/// What came between the two. Errors: FailedPrecondition when a counter has fallen.
absl::StatusOr<StepProfile> ProfileBetween(const StepCounters& before, const StepCounters& after);

// The profile for people and for programs. Pure functions.
std::string ProfileTable(const StepProfile& profile);
nlohmann::ordered_json ProfileJson(const StepProfile& profile);

}  // namespace moesaic::services
