#include "placement/assignment.h"

#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/placement/placement_problems.h"

namespace moesaic::placement {
namespace {

using ::testing::ElementsAre;

TEST(Assignment, AUnitsOnlyReplicaTakesAllOfIt) {
  auto problem = Problem(1, 2, 1, {TimedShard(0, 9, 1), TimedShard(1, 9, 2)});
  problem.loads = Rows({3, 4});
  const TimeModel model(problem);
  Assignment assignment(problem, model);
  assignment.Add(0, 0);
  assignment.Add(1, 1);
  EXPECT_THAT(assignment.LayerUs(0), ElementsAre(3, 8));
  EXPECT_EQ(assignment.SlowestShard(0), 1u);
  EXPECT_DOUBLE_EQ(assignment.StepUs(), 8);
}

TEST(Assignment, ReplicasCompleteTogether) {
  auto problem = Problem(1, 1, 1, {TimedShard(0, 9, 1), TimedShard(1, 9, 3)});
  problem.loads = Rows({8});
  const TimeModel model(problem);
  Assignment assignment(problem, model);
  assignment.Add(0, 0);
  assignment.Add(0, 1);
  // Three quarters on the shard that is three times as fast.
  EXPECT_DOUBLE_EQ(assignment.UsOf(0, 0), 6);
  EXPECT_DOUBLE_EQ(assignment.UsOf(0, 1), 6);
  assignment.Remove(0, 0);
  EXPECT_DOUBLE_EQ(assignment.UsOf(0, 0), 0);
  EXPECT_DOUBLE_EQ(assignment.UsOf(0, 1), 24);
}

TEST(Assignment, AReplicaThatWouldCompleteLaterGetsNothing) {
  auto problem = Problem(1, 2, 1, {Shard(0, 9), Shard(1, 9)});
  problem.loads = Rows({2, 5});
  const TimeModel model(problem);
  Assignment assignment(problem, model);
  assignment.Add(1, 1);
  assignment.Add(0, 0);
  assignment.Add(0, 1);
  EXPECT_DOUBLE_EQ(assignment.UsOf(0, 0), 2);
  EXPECT_DOUBLE_EQ(assignment.UsOf(0, 1), 5);
}

TEST(Assignment, SettlingFollowsChainsOfReplicas) {
  // Unit 0 only on shard 0; 1 on shards 0 and 1; 2 on 1 and 2: all can complete at 3.
  auto problem = Problem(1, 3, 1, {Shard(0, 9), Shard(1, 9), Shard(2, 9)});
  problem.loads = Rows({3, 3, 3});
  const TimeModel model(problem);
  Assignment assignment(problem, model);
  for (const auto& [unit, shard] : {std::pair{1u, 0u}, {1u, 1u}, {2u, 1u}, {2u, 2u}, {0u, 0u}}) {
    assignment.Add(unit, shard);
  }
  assignment.Settle(0);
  for (const double us : assignment.LayerUs(0)) EXPECT_NEAR(us, 3, 0.02);
}

TEST(Assignment, SharesSumToOneAndTimesToWhatTheySay) {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    auto problem = Problem(2, 6, 1, {});
    for (std::uint32_t i = 0; i < 5; ++i) {
      problem.shards.push_back(TimedShard(i, 99, 1 + random() % 4));
      problem.shards.back().us_per_expert = static_cast<double>(random() % 3);
    }
    std::vector<float> rows;
    for (int i = 0; i < 12; ++i) rows.push_back(static_cast<float>(random() % 20));
    problem.loads = Rows(rows);
    const TimeModel model(problem);
    Assignment assignment(problem, model);
    for (std::uint32_t unit = 0; unit < 12; ++unit) {
      for (std::uint32_t shard = 0; shard < 5; ++shard) {
        if (random() % 2 == 0 || shard == unit % 5) assignment.Add(unit, shard);
      }
    }
    std::vector<double> us(10, 0);
    for (std::uint32_t unit = 0; unit < 12; ++unit) {
      double sum = 0;
      for (const auto& replica : assignment.replicas(unit)) {
        sum += replica.share;
        us[unit / 6 * 5 + replica.shard] += model.ShareUs(replica.shard, unit, replica.share);
      }
      EXPECT_NEAR(sum, 1, 1e-9);
    }
    for (std::uint32_t layer = 0; layer < 2; ++layer) {
      for (std::uint32_t shard = 0; shard < 5; ++shard) {
        EXPECT_NEAR(assignment.UsOf(layer, shard), us[layer * 5 + shard], 1e-9);
      }
    }
    const double before = assignment.StepUs();
    assignment.SettleAll();
    EXPECT_LE(assignment.StepUs(), before + 1e-9) << "dividing anew never slows the slowest";
  }
}

}  // namespace
}  // namespace moesaic::placement
