#include "placement/placement_policy.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "placement/place_by_predicted_time.h"
#include "tests/unit/placement/placement_problems.h"

namespace moesaic::placement {
namespace {

using ::testing::HasSubstr;

TEST(PlacementPolicy, NamesAreParsed) {
  for (const auto policy : {PlacementPolicy::kPredictedTime, PlacementPolicy::kEplb}) {
    const auto parsed = ParsePlacementPolicy(PlacementPolicyName(policy));
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(*parsed, policy);
  }
}

TEST(PlacementPolicy, AnUnknownNameIsAnErrorThatNamesThem) {
  const auto parsed = ParsePlacementPolicy("even");
  EXPECT_TRUE(absl::IsInvalidArgument(parsed.status()));
  EXPECT_THAT(std::string(parsed.status().message()), HasSubstr("predicted-time and eplb"));
  EXPECT_FALSE(ParsePlacementPolicy("").ok());
}

TEST(PlacementPolicy, EachCallsItsOwn) {
  auto problem = Problem(1, 6, 1, {TimedShard(0, 9, 1), TimedShard(1, 9, 2)});
  problem.loads = Rows({9, 5, 4, 3, 2, 1});
  EXPECT_EQ(Place(PlacementPolicy::kPredictedTime, problem), PlaceByPredictedTime(problem));
  EXPECT_EQ(Place(PlacementPolicy::kEplb, problem, {}, {.redundant_slots = 0}),
            PlaceEplb(problem, {.redundant_slots = 0}));
}

}  // namespace
}  // namespace moesaic::placement
