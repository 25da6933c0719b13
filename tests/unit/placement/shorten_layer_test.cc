#include "placement/shorten_layer.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/placement/placement_problems.h"

namespace moesaic::placement {
namespace {

using Kind = PlacementStep::Kind;

/// What Shorten does to the one layer of a problem.
LayerChange ShortenOnly(const PlacementProblem& problem, const BalanceOptions& options = {},
                        double us_per_load = 0) {
  const TimeModel model(problem);
  const FailureDomains domains(problem.shards);
  PlacementPlan plan(problem, model, domains);
  return LayerShortener(plan, options, us_per_load, false).Shorten(0);
}

TEST(ShortenLayer, AUnitLeavesTheSlowestShard) {
  auto problem = Problem(1, 4, 1, {Shard(0, 9, "", {0, 1, 2}), Shard(1, 9, "", {3})});
  const LayerChange change = ShortenOnly(problem);
  ASSERT_EQ(change.steps.size(), 1u);
  EXPECT_EQ(change.steps[0].kind, Kind::kMove);
  EXPECT_EQ(change.steps[0].from, 0u);
  EXPECT_EQ(change.steps[0].to, 1u);
  EXPECT_DOUBLE_EQ(change.us_before, 3);
  EXPECT_DOUBLE_EQ(change.us_after, 2);
}

TEST(ShortenLayer, AHotUnitIsShared) {
  auto problem = Problem(1, 2, 1, {Shard(0, 9, "", {0}), Shard(1, 9, "", {1})});
  problem.loads = Rows({9, 1});
  const LayerChange change = ShortenOnly(problem);
  ASSERT_EQ(change.steps.size(), 1u);
  EXPECT_EQ(change.steps[0].kind, Kind::kReplicate);
  EXPECT_DOUBLE_EQ(change.us_after, 5);
}

TEST(ShortenLayer, WithoutKnownLoadsNothingIsReplicated) {
  auto problem = Problem(1, 3, 1, {Shard(0, 9, "", {0, 1}), Shard(1, 9, "", {2})});
  EXPECT_TRUE(ShortenOnly(problem).steps.empty());
}

TEST(ShortenLayer, UnitsAreExchangedWhereNoneCanMove) {
  // 10 + 6 against 9 + 1: moving the 6 makes 10 against 16; changing it for the 1 makes 11 and 15;
  // 10 for 9 makes 15 and 11; 6 for 9 is worse. Without replicas an exchange is what there is.
  auto problem = Problem(1, 4, 1, {Shard(0, 3, "", {0, 1}), Shard(1, 3, "", {2, 3})});
  problem.loads = Rows({10, 6, 9, 1});
  BalanceOptions options;
  options.max_extra_replicas = 0;
  const LayerChange change = ShortenOnly(problem, options);
  ASSERT_FALSE(change.steps.empty());
  EXPECT_EQ(change.steps[0].kind, Kind::kExchange);
  EXPECT_LT(change.us_after, 16);
}

TEST(ShortenLayer, NothingFitsBesideWhatFullShardsHold) {
  auto problem = Problem(1, 4, 1, {Shard(0, 2, "", {0, 1}), Shard(1, 2, "", {2, 3})});
  problem.loads = Rows({10, 6, 9, 1});
  const TimeModel model(problem);
  const FailureDomains domains(problem.shards);
  PlacementPlan plan(problem, model, domains);
  const BalanceOptions options;
  LayerShortener shortener(plan, options, 0, false);
  EXPECT_TRUE(shortener.Shorten(0).steps.empty());
  EXPECT_TRUE(shortener.short_of_room());
}

TEST(ShortenLayer, AStepThatDoesNotPayForItsLoadIsUndone) {
  auto problem = Problem(1, 4, 1, {Shard(0, 9, "", {0, 1, 2}), Shard(1, 9, "", {3})});
  EXPECT_FALSE(ShortenOnly(problem, {}, 0.9).steps.empty());
  const LayerChange change = ShortenOnly(problem, {}, 1.1);
  EXPECT_TRUE(change.steps.empty());
  EXPECT_DOUBLE_EQ(change.us_after, 3);
}

TEST(ShortenLayer, ReplicasStayApart) {
  // The unit's other replica is on node b: it may not move there.
  auto problem =
      Problem(1, 2, 2, {Shard(0, 9, "a", {0, 1}), Shard(1, 9, "b", {0, 1}), Shard(2, 9, "b")});
  problem.shards[0].us_per_row = 9;
  problem.shards[1].us_per_row = 9;
  problem.shards[2].us_per_row = 1;
  const LayerChange change = ShortenOnly(problem);
  for (const PlacementStep& step : change.steps) EXPECT_NE(step.from, 0u);
}

}  // namespace
}  // namespace moesaic::placement
