#include "placement/load_split.h"

#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace moesaic::placement {
namespace {

TEST(LoadSplit, FewRowsTouchAnExpertEachAndManyShareIt) {
  // 8 rows of 1 us, one expert of 10 us.
  const ReplicaCost cost = {.row_us = 8, .touch_us = 10, .touch_us_per_share = 80};
  EXPECT_DOUBLE_EQ(cost.Us(0), 0);
  EXPECT_DOUBLE_EQ(cost.Us(1.0 / 16), 5.5) << "half a row: touched in half of the calls";
  EXPECT_DOUBLE_EQ(cost.Us(1.0 / 8), 11);
  EXPECT_DOUBLE_EQ(cost.Us(0.5), 14);
  EXPECT_DOUBLE_EQ(cost.Us(1), 18);
  for (const double share : {0.0, 0.05, 0.125, 0.3, 1.0}) {
    EXPECT_NEAR(cost.ShareWithin(cost.Us(share)), share, 1e-12);
  }
}

TEST(LoadSplit, ASecondReplicaDoesNotHalveTheTimeOfAnExpert) {
  const ReplicaCost cost = {.row_us = 8, .touch_us = 10, .touch_us_per_share = 80};
  EXPECT_DOUBLE_EQ(CompletionUs(std::vector<ReplicaBid>{{0, cost}}), 18);
  EXPECT_DOUBLE_EQ(CompletionUs(std::vector<ReplicaBid>{{0, cost}, {0, cost}}), 14);
}

TEST(LoadSplit, ABusyShardIsLeftOut) {
  const ReplicaCost cost = {.row_us = 4, .touch_us = 0, .touch_us_per_share = 0};
  EXPECT_DOUBLE_EQ(CompletionUs(std::vector<ReplicaBid>{{1, cost}, {9, cost}}), 5);
  EXPECT_DOUBLE_EQ(CompletionUs(std::vector<ReplicaBid>{{1, cost}, {3, cost}}), 4);
}

TEST(LoadSplit, AUnitWithoutRowsTakesNoTime) {
  EXPECT_DOUBLE_EQ(CompletionUs(std::vector<ReplicaBid>{{3, {}}, {5, {}}}), 0);
  EXPECT_DOUBLE_EQ(CompletionUs({}), 0);
}

TEST(LoadSplit, SharesSumToOneAtTheTimeOfCompletion) {
  std::mt19937 random(3);
  std::uniform_real_distribution<double> us(0, 20);
  for (int round = 0; round < 500; ++round) {
    std::vector<ReplicaBid> bids;
    const double rows = 1 + us(random), experts = std::uniform_real_distribution(0.0, rows)(random);
    for (std::size_t n = 1 + random() % 6; n > 0; --n) {
      const double us_per_row = 0.1 + us(random), us_per_expert = us(random);
      bids.push_back(
          {us(random), {us_per_row * rows, us_per_expert * experts, us_per_expert * rows}});
    }
    const double completion_us = CompletionUs(bids);
    double sum = 0;
    for (const ReplicaBid& bid : bids) sum += bid.cost.ShareWithin(completion_us - bid.others_us);
    EXPECT_NEAR(sum, 1, 1e-9) << "round " << round;
  }
}

}  // namespace
}  // namespace moesaic::placement
