#include "placement/placement_policy.h"

#include "absl/strings/str_cat.h"
#include "placement/place_by_predicted_time.h"

namespace moesaic::placement {

absl::StatusOr<PlacementPolicy> ParsePlacementPolicy(std::string_view name) {
  for (const auto policy : {PlacementPolicy::kPredictedTime, PlacementPolicy::kEplb}) {
    if (name == PlacementPolicyName(policy)) return policy;
  }
  return absl::InvalidArgumentError(absl::StrCat("placement policy \"", std::string(name),
                                                 "\": there are predicted-time and eplb"));
}

std::string_view PlacementPolicyName(PlacementPolicy policy) {
  switch (policy) {
    case PlacementPolicy::kPredictedTime:
      return "predicted-time";
    case PlacementPolicy::kEplb:
      return "eplb";
  }
  return "unknown";
}

PlacementDecision Place(PlacementPolicy policy, const PlacementProblem& problem,
                        const BalanceOptions& balance, const EplbOptions& eplb) {
  if (policy == PlacementPolicy::kEplb) return PlaceEplb(problem, eplb);
  return PlaceByPredictedTime(problem, balance);
}

}  // namespace moesaic::placement
