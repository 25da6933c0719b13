#include "placement/spread_rule.h"

#include "gtest/gtest.h"
#include "tests/unit/placement/placement_problems.h"

namespace moesaic::placement {
namespace {

/// Shards 0 and 1 on node a in zone x, 2 on node b in zone x, 3 on node c in zone y, 4 unlabelled.
class SpreadRuleTest : public ::testing::Test {
 protected:
  SpreadRuleTest() : domains_(Shards()), rule_(domains_, 2) {}

  static std::vector<ShardCapacity> Shards() {
    std::vector<ShardCapacity> shards = {Shard(0, 9, "a"), Shard(1, 9, "a"), Shard(2, 9, "b"),
                                         Shard(3, 9, "c"), Shard(4, 9)};
    for (int i = 0; i < 3; ++i) shards[i].zone = "x";
    shards[3].zone = "y";
    return shards;
  }

  FailureDomains domains_;
  SpreadRule rule_;
};

TEST_F(SpreadRuleTest, ConflictsOfAFurtherReplica) {
  rule_.Look({{.shard = 0}});
  EXPECT_TRUE(rule_.Holds(0));
  EXPECT_FALSE(rule_.Holds(1));
  EXPECT_EQ(rule_.Conflict(1), 3);
  EXPECT_EQ(rule_.Conflict(2), 1);
  EXPECT_EQ(rule_.Conflict(3), 0);
  EXPECT_EQ(rule_.Conflict(4), 0);
}

TEST_F(SpreadRuleTest, ALookForgetsTheOneBefore) {
  rule_.Look({{.shard = 0}});
  rule_.Look({{.shard = 3}});
  EXPECT_FALSE(rule_.Holds(0));
  EXPECT_EQ(rule_.Conflict(1), 0);
}

TEST_F(SpreadRuleTest, AReplicaMayMoveWhereNothingIsLost) {
  rule_.Look({{.shard = 0}, {.shard = 3}}, 3);
  EXPECT_TRUE(rule_.Satisfied());
  EXPECT_TRUE(rule_.MayMoveTo(4));
  EXPECT_FALSE(rule_.MayMoveTo(1)) << "the same node";
  EXPECT_FALSE(rule_.MayMoveTo(2)) << "the same zone";
  EXPECT_FALSE(rule_.MayMoveTo(0)) << "holds it";
  EXPECT_FALSE(rule_.MayDrop());
}

TEST_F(SpreadRuleTest, WhatIsNotApartMayStaySo) {
  rule_.Look({{.shard = 0}, {.shard = 2}}, 2);
  EXPECT_FALSE(rule_.Satisfied()) << "one zone";
  EXPECT_FALSE(rule_.MayMoveTo(1)) << "two nodes are not given up";
  EXPECT_TRUE(rule_.MayMoveTo(3));
}

TEST_F(SpreadRuleTest, ReplicasBeyondTheWantedMayBeAnywhere) {
  rule_.Look({{.shard = 0}, {.shard = 3}, {.shard = 4}}, 4);
  EXPECT_TRUE(rule_.Satisfied());
  EXPECT_TRUE(rule_.MayMoveTo(1));
  EXPECT_TRUE(rule_.MayDrop());
}

}  // namespace
}  // namespace moesaic::placement
