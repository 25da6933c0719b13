#include "placement/place_eplb.h"

#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/placement/placement_problems.h"

namespace moesaic::placement {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr EplbOptions kNoRedundancy = {.redundant_slots = 0};

struct PackingCase {
  const char* name;
  std::vector<double> weights;
  std::vector<std::uint32_t> rooms;
  std::vector<std::uint32_t> packs;
};

void PrintTo(const PackingCase& c, std::ostream* out) { *out << c.name; }

class BalancedPackingTable : public ::testing::TestWithParam<PackingCase> {};

TEST_P(BalancedPackingTable, Packs) {
  const PackingCase& c = GetParam();
  EXPECT_EQ(BalancedPacking(c.weights, c.rooms), c.packs);
}

INSTANTIATE_TEST_SUITE_P(
    , BalancedPackingTable,
    ::testing::Values(PackingCase{"OneEachInOrder", {1, 9, 5}, {1, 1, 1}, {0, 1, 2}},
                      // 9 to 0; 7 and then 6 to 1 (7 < 9); 2 to 0, the only one with room.
                      PackingCase{"HeaviestToLightest", {2, 6, 7, 9}, {2, 2}, {0, 1, 1, 0}},
                      PackingCase{"EqualsInOrder", {3, 3, 3, 3}, {2, 2}, {0, 1, 0, 1}},
                      PackingCase{"UnequalRooms", {5, 4, 3, 2}, {1, 3}, {0, 1, 1, 1}}),
    [](const auto& info) { return info.param.name; });

TEST(Replicate, EveryFurtherSlotGoesToTheMostWeightPerReplica) {
  // Beyond one each: 12, then 7, then 6 (12 / 2, before its equal, the third item).
  EXPECT_THAT(Replicate(std::vector<double>{12, 7, 6}, 6, 1), ElementsAre(0, 1, 2, 0, 1, 0));
  EXPECT_THAT(Replicate(std::vector<double>{1, 1}, 2, 1), ElementsAre(0, 1));
  EXPECT_THAT(Replicate(std::vector<double>{1, 4}, 5, 2), ElementsAre(0, 1, 0, 1, 1));
}

TEST(PlaceEplb, ALayerByHand) {
  // Six units, two redundant slots, four shards of two slots each.
  auto problem = Problem(1, 6, 1, {Shard(0, 2), Shard(1, 2), Shard(2, 2), Shard(3, 2)});
  problem.loads = Rows({90, 40, 30, 30, 20, 10});
  // Further slots: unit 0 (90), unit 0 (45): its replicas weigh 30 each.
  // By weight: 1 (40) to shard 0; 0, 2, 3 (30 each; 0's first in slot order) to shards 1, 2, 3;
  // then the two further 0s: lightest with room is shard 1, which has it, so shard 2, then 3;
  // then 4 (20) to shard 1, the lightest; 5 (10) to shard 0, the last with room.
  const PlacementDecision decision = PlaceEplb(problem, {.redundant_slots = 2});
  EXPECT_THAT(decision.units_of_shard, ElementsAre(ElementsAre(1, 5), ElementsAre(0, 4),
                                                   ElementsAre(0, 2), ElementsAre(0, 3)));
  EXPECT_THAT(decision.warnings, IsEmpty());
  EXPECT_THAT(decision.reasons, ElementsAre(HasSubstr("8 units to load")));
  Adopt(problem, decision);
  EXPECT_THAT(PlaceEplb(problem, {.redundant_slots = 2}).reasons, IsEmpty());
}

TEST(PlaceEplb, GroupsStayOnANode) {
  // Groups {0,1} {2,3} {4,5} {6,7} weigh 12, 5, 9, 6: nodes a = 12 + 5... by weight: 12 to a,
  // 9 to b, 6 to b (lighter), 5 to a.
  auto problem =
      Problem(1, 8, 1, {Shard(0, 9, "a"), Shard(1, 9, "a"), Shard(2, 9, "b"), Shard(3, 9, "b")});
  problem.groups = 4;
  problem.loads = Rows({10, 2, 4, 1, 5, 4, 3, 3});
  const PlacementDecision decision = PlaceEplb(problem, kNoRedundancy);
  // Node a: 10 to shard 0, 4 and 2 to shard 1, 1 to shard 0. Node b: 5, 4, 3, 3.
  EXPECT_THAT(decision.units_of_shard, ElementsAre(ElementsAre(0, 3), ElementsAre(1, 2),
                                                   ElementsAre(4, 7), ElementsAre(5, 6)));
  EXPECT_THAT(decision.reasons, ElementsAre(HasSubstr("1 of 1 layers node by node")));
}

TEST(PlaceEplb, GroupsThatDoNotDivideAreIgnored) {
  auto problem = Problem(1, 6, 1, {Shard(0, 9, "a"), Shard(1, 9, "b")});
  problem.groups = 3;
  problem.loads = Rows({6, 5, 4, 3, 2, 1});
  const PlacementDecision decision = PlaceEplb(problem, kNoRedundancy);
  EXPECT_THAT(decision.units_of_shard, ElementsAre(ElementsAre(0, 3, 4), ElementsAre(1, 2, 5)));
}

TEST(PlaceEplb, SlotsThatDoNotDivideGoAsFarAsMemoryAllows) {
  auto problem = Problem(1, 7, 1, {Shard(0, 2), Shard(1, 9), Shard(2, 9)});
  problem.loads = Rows({7, 6, 5, 4, 3, 2, 1});
  const PlacementDecision decision = PlaceEplb(problem, kNoRedundancy);
  // 9 slots wanted, 3 each; the small shard's third goes to the next one.
  EXPECT_THAT(Counts(decision), ElementsAre(2, 4, 3));
  EXPECT_THAT(decision.warnings, IsEmpty());
}

TEST(PlaceEplb, EveryUnitBeginsWithItsReplicas) {
  auto problem = Problem(2, 4, 2, {Shard(0, 99), Shard(1, 99), Shard(2, 99)});
  problem.loads = Rows({100, 1, 1, 1, 1, 1, 1, 1});
  const PlacementDecision decision = PlaceEplb(problem, kNoRedundancy);
  for (const auto& holders : Holders(problem, decision)) EXPECT_GE(holders.size(), 2u);
}

TEST(PlaceEplb, TheLightestStayOutWhenMemoryIsShort) {
  auto problem = Problem(1, 4, 1, {Shard(0, 1), Shard(1, 2)});
  problem.loads = Rows({1, 9, 8, 7});
  const PlacementDecision decision = PlaceEplb(problem);
  EXPECT_THAT(decision.units_of_shard, ElementsAre(ElementsAre(1), ElementsAre(2, 3)));
  EXPECT_THAT(decision.warnings, ElementsAre(HasSubstr("1 of 4 units have no shard")));
}

TEST(PlaceEplb, LegalForRandomProblems) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    auto problem = Problem(1 + random() % 4, 4 * (1 + random() % 4), 1 + random() % 3, {});
    problem.groups = 1u << random() % 3;
    const std::uint32_t nodes = 1 + random() % 4;
    for (std::uint32_t i = 0; i < random() % 9; ++i) {
      problem.shards.push_back(Shard(i, random() % 40, "node" + std::to_string(i % nodes)));
    }
    std::vector<float> rows;
    for (std::uint32_t i = 0; i < problem.units(); ++i) rows.push_back(random() % 50);
    problem.loads = Rows(rows);
    const PlacementDecision decision = PlaceEplb(problem);
    ASSERT_EQ(decision.units_of_shard.size(), problem.shards.size());
    for (std::size_t i = 0; i < problem.shards.size(); ++i) {
      const auto& units = decision.units_of_shard[i];
      EXPECT_LE(units.size() * kUnitBytes, problem.shards[i].memory_bytes);
      EXPECT_TRUE(std::is_sorted(units.begin(), units.end()));
      EXPECT_EQ(std::adjacent_find(units.begin(), units.end()), units.end());
    }
    EXPECT_EQ(PlaceEplb(problem), decision);
  }
}

TEST(PlaceEplb, NothingToPlace) {
  EXPECT_THAT(PlaceEplb(Problem(1, 2, 1, {})).warnings, ElementsAre("there is no shard"));
  EXPECT_THAT(PlaceEplb(Problem(0, 0, 1, {Shard(0, 9)})).units_of_shard, ElementsAre(IsEmpty()));
}

}  // namespace
}  // namespace moesaic::placement
