#include "placement/shortfall.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/placement/placement_problems.h"

namespace moesaic::placement {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

ShardCapacity InZone(std::uint32_t id, std::string node, std::string zone) {
  ShardCapacity shard = Shard(id, 9, std::move(node));
  shard.zone = std::move(zone);
  return shard;
}

TEST(Shortfall, NoneWhenEverythingIsApart) {
  const auto problem = Problem(1, 1, 2, {InZone(0, "a", "x"), InZone(1, "b", "y")});
  const PlacementShortfall shortfall = MeasureShortfall(problem, Units{{0}, {0}});
  EXPECT_EQ(shortfall, PlacementShortfall());
  EXPECT_THAT(DescribeShortfall(problem, shortfall), IsEmpty());
}

TEST(Shortfall, CountsAndNamesEachKind) {
  const auto problem =
      Problem(1, 5, 2, {InZone(0, "a", "x"), InZone(1, "a", "x"), InZone(2, "b", "x")});
  // Unit 0 apart but in one zone, 1 on one node, 2 once, 3 nowhere, 4 on every shard.
  const PlacementShortfall shortfall =
      MeasureShortfall(problem, Units{{0, 1, 2, 4}, {1, 4}, {0, 4}});
  EXPECT_EQ(shortfall,
            (PlacementShortfall{
                .uncovered = 1, .short_of_replicas = 1, .sharing_node = 1, .sharing_zone = 3}));
  EXPECT_THAT(
      DescribeShortfall(problem, shortfall),
      ElementsAre("not enough memory: 1 of 5 units have no shard; 100 more bytes are needed",
                  "not enough memory for 2 replicas of 1 of 5 units",
                  "1 of 5 units have replicas on one node; 2 nodes for 2 replicas",
                  "3 of 5 units have replicas in one zone; 1 zones for 2 replicas"));
}

TEST(Shortfall, AShardWithoutLabelsIsANodeOfItsOwnInNoZone) {
  const auto problem = Problem(1, 1, 2, {Shard(0, 9), Shard(1, 9)});
  EXPECT_EQ(MeasureShortfall(problem, Units{{0}, {0}}), PlacementShortfall());
}

TEST(Shortfall, ShardsAreMissing) {
  EXPECT_THAT(DescribeShortfall(Problem(1, 1, 1, {}), {}), ElementsAre("there is no shard"));
  EXPECT_THAT(DescribeShortfall(Problem(1, 1, 2, {Shard(0, 9)}), {}),
              ElementsAre(HasSubstr("2 replicas wanted, but only 1 shards")));
}

}  // namespace
}  // namespace moesaic::placement
