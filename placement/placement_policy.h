#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "placement/balance_options.h"
#include "placement/place_eplb.h"
#include "placement/placement_problem.h"

namespace moesaic::placement {

enum class PlacementPolicy : std::uint8_t {
  kPredictedTime,  ///< "predicted-time": PlaceByPredictedTime.
  kEplb,           ///< "eplb": PlaceEplb.
};

/// Errors: InvalidArgument that names the policies there are.
absl::StatusOr<PlacementPolicy> ParsePlacementPolicy(std::string_view name);
std::string_view PlacementPolicyName(PlacementPolicy policy);

/// Calls the policy with its options.
PlacementDecision Place(PlacementPolicy policy, const PlacementProblem& problem,
                        const BalanceOptions& balance = {}, const EplbOptions& eplb = {});

}  // namespace moesaic::placement
