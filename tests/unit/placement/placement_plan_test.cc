#include "placement/placement_plan.h"

#include "gtest/gtest.h"
#include "placement/drop_useless.h"
#include "placement/lighten_busiest.h"
#include "tests/unit/placement/placement_problems.h"

namespace moesaic::placement {
namespace {

class PlacementPlanTest : public ::testing::Test {
 protected:
  PlacementPlan Plan(PlacementProblem problem) {
    problem_ = std::move(problem);
    model_.emplace(problem_);
    domains_.emplace(problem_.shards);
    return PlacementPlan(problem_, *model_, *domains_);
  }

  PlacementProblem problem_;
  std::optional<TimeModel> model_;
  std::optional<FailureDomains> domains_;
};

TEST_F(PlacementPlanTest, StartsWithWhatIsHeldOnceEach) {
  const PlacementPlan plan = Plan(Problem(1, 4, 1, {Shard(0, 9, "", {2, 0, 2, 77})}));
  EXPECT_TRUE(plan.anything_held());
  EXPECT_TRUE(plan.Held(0, 2));
  EXPECT_FALSE(plan.Held(0, 1));
  EXPECT_EQ(plan.assignment().count(0), 2u);
}

TEST_F(PlacementPlanTest, WhatLeavesKeepsItsRoomUntilItIsForgotten) {
  PlacementPlan plan = Plan(Problem(1, 4, 1, {Shard(0, 3, "", {0, 1}), Shard(1, 3)}));
  EXPECT_EQ(plan.Room(0), 1);
  EXPECT_EQ(plan.RoomToMove(0), 1);
  plan.Remove(0, 0);
  plan.Add(0, 1);
  EXPECT_EQ(plan.Room(0), 2);
  EXPECT_EQ(plan.RoomToMove(0), 1) << "it stays until its successor is there";
  EXPECT_EQ(plan.RoomToMove(1), 2);
  plan.Forget(0, 0);
  EXPECT_EQ(plan.RoomToMove(0), 2);
  plan.Release(1, 0);
  EXPECT_EQ(plan.RoomToMove(0), 3);
}

TEST_F(PlacementPlanTest, UselessReplicasAreDroppedAndUsefulOnesStay) {
  auto problem = Problem(1, 3, 1, {Shard(0, 9, "", {0, 1}), Shard(1, 9, "", {0, 2})});
  problem.loads = Rows({8, 1, 1});
  PlacementPlan useful = Plan(problem);
  EXPECT_EQ(DropUseless(useful), 0u);
  problem.loads = Rows({1, 1, 8});
  PlacementPlan useless = Plan(problem);
  EXPECT_EQ(DropUseless(useless), 1u);
  EXPECT_FALSE(useless.assignment().Holds(1, 0)) << "the one on the busy shard";
}

TEST_F(PlacementPlanTest, TheBusiestGivesWhereNoLayerGetsLonger) {
  // Two layers of three units: shard 0 has two of both.
  PlacementPlan plan =
      Plan(Problem(2, 3, 1, {Shard(0, 9, "", {0, 1, 3, 4}), Shard(1, 9, "", {2, 5})}));
  const auto steps = LightenBusiest(plan);
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_EQ(steps[0].from, 0u);
  EXPECT_EQ(steps[0].to, 1u);
  EXPECT_DOUBLE_EQ(plan.assignment().StepUs(), 4);
}

}  // namespace
}  // namespace moesaic::placement
