#include "placement/time_model.h"

#include "gtest/gtest.h"
#include "tests/unit/placement/placement_problems.h"

namespace moesaic::placement {
namespace {

TEST(TimeModel, CostsRowsAndExperts) {
  auto problem = Problem(1, 2, 1, {Shard(0, 9)});
  problem.shards[0].us_per_row = 2;
  problem.shards[0].us_per_expert = 10;
  problem.loads = {{.rows = 3, .experts = 0.5}, {.rows = 0, .experts = 0}};
  const TimeModel model(problem);
  EXPECT_TRUE(model.loads_known());
  EXPECT_DOUBLE_EQ(model.UnitUs(0, 0), 11);
  EXPECT_DOUBLE_EQ(model.UnitUs(0, 1), 0);
}

TEST(TimeModel, AnUnmeasuredShardIsAsFastAsTheMean) {
  auto problem = Problem(1, 1, 1, {TimedShard(0, 9, 1), Shard(1, 9), TimedShard(2, 9, 3)});
  const TimeModel model(problem);
  EXPECT_DOUBLE_EQ(model.UnitUs(1, 0), 2);
  EXPECT_DOUBLE_EQ(model.MeanUnitUs(0), 2);
}

TEST(TimeModel, WithoutAnythingKnownAllAreAlike) {
  const auto problem = Problem(2, 2, 1, {Shard(0, 9), Shard(1, 9)});
  const TimeModel model(problem);
  EXPECT_FALSE(model.loads_known());
  for (std::uint32_t unit = 0; unit < 4; ++unit) EXPECT_DOUBLE_EQ(model.UnitUs(1, unit), 1);
}

TEST(TimeModel, ALayerWithoutRowsIsTakenAsUniform) {
  auto problem = Problem(2, 2, 1, {Shard(0, 9)});
  problem.loads = Rows({0, 0, 3, 0});
  const TimeModel model(problem);
  EXPECT_DOUBLE_EQ(model.UnitUs(0, 0), 1);
  EXPECT_DOUBLE_EQ(model.UnitUs(0, 1), 1);
  EXPECT_DOUBLE_EQ(model.UnitUs(0, 2), 3);
  EXPECT_DOUBLE_EQ(model.UnitUs(0, 3), 0);
}

}  // namespace
}  // namespace moesaic::placement
