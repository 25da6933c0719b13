#include "placement/forecast.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/placement/placement_problems.h"

namespace moesaic::placement {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;

TEST(Forecast, SumsTheSlowestShardOfEachLayer) {
  auto problem = Problem(2, 2, 1, {TimedShard(0, 9, 1), TimedShard(1, 9, 1)});
  problem.shards[0].held = {0};
  problem.loads = Rows({6, 2, 1, 1});
  const Forecast forecast = ForecastPlacement(problem, Units{{0, 2}, {1, 3}});
  EXPECT_DOUBLE_EQ(forecast.step_us, 7);
  EXPECT_THAT(forecast.layer_us, ElementsAre(6, 1));
  EXPECT_THAT(forecast.busy_us, ElementsAre(7, 3));
  // Perfect would be 4 and 1.
  EXPECT_THAT(forecast.layer_imbalance, ElementsAre(DoubleEq(1.5), DoubleEq(1)));
  EXPECT_DOUBLE_EQ(forecast.imbalance, 7.0 / 5);
  EXPECT_EQ(forecast.move_bytes, 3 * kUnitBytes);
  EXPECT_EQ(forecast.max_move_bytes, 2 * kUnitBytes);
}

TEST(Forecast, ImbalanceIsWeightedBySpeed) {
  auto problem = Problem(1, 2, 1, {TimedShard(0, 9, 1), TimedShard(1, 9, 3)});
  problem.loads = Rows({6, 2});
  EXPECT_DOUBLE_EQ(ForecastPlacement(problem, Units{{0}, {1}}).imbalance, 1);
  EXPECT_DOUBLE_EQ(ForecastPlacement(problem, Units{{1}, {0}}).imbalance, 3);
}

TEST(Forecast, ExpertsAreThoseOfTheShardThatTouchesMost) {
  auto problem = Problem(1, 3, 1, {Shard(0, 9), Shard(1, 9)});
  problem.loads = {{4, 0.5}, {4, 0.5}, {4, 1}};
  EXPECT_DOUBLE_EQ(ForecastPlacement(problem, Units{{0, 1, 2}, {}}).max_experts, 2);
  EXPECT_DOUBLE_EQ(ForecastPlacement(problem, Units{{0, 1}, {2}}).max_experts, 1);
}

TEST(Forecast, NothingIsNoTime) {
  const Forecast none = ForecastPlacement(Problem(1, 2, 1, {}), {});
  EXPECT_DOUBLE_EQ(none.step_us, 0);
  const Forecast empty = ForecastPlacement(Problem(1, 2, 1, {Shard(0, 9)}), Units{{}});
  EXPECT_DOUBLE_EQ(empty.step_us, 0);
  EXPECT_EQ(empty.move_bytes, 0u);
}

}  // namespace
}  // namespace moesaic::placement
