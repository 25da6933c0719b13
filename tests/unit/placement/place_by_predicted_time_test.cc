#include "placement/place_by_predicted_time.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "placement/forecast.h"
#include "tests/unit/placement/placement_problems.h"

namespace moesaic::placement {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// What must hold of any answer.
void ExpectSound(const PlacementProblem& problem, const PlacementDecision& decision) {
  ASSERT_EQ(decision.units_of_shard.size(), problem.shards.size());
  for (std::size_t i = 0; i < problem.shards.size(); ++i) {
    const auto& units = decision.units_of_shard[i];
    EXPECT_LE(units.size() * problem.unit_bytes, problem.shards[i].memory_bytes) << "shard " << i;
    EXPECT_TRUE(std::is_sorted(units.begin(), units.end()));
    EXPECT_EQ(std::adjacent_find(units.begin(), units.end()), units.end()) << "twice on a shard";
  }
  for (const auto& holders : Holders(problem, decision)) {
    EXPECT_LE(holders.size(), problem.replicas);
  }
}

/// Units whose replicas share a node.
int Doubled(const PlacementProblem& problem, const PlacementDecision& decision) {
  int doubled = 0;
  for (const auto& holders : Holders(problem, decision)) {
    std::set<std::string> nodes;
    for (const std::size_t shard : holders) nodes.insert(problem.shards[shard].node);
    doubled += nodes.size() < holders.size() ? 1 : 0;
  }
  return doubled;
}

struct Case {
  const char* name;
  PlacementProblem problem;
  std::vector<std::size_t> counts;
  std::string warning;  // part of the only one; empty = none
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class PlaceByPredictedTimeTable : public ::testing::TestWithParam<Case> {};

TEST_P(PlaceByPredictedTimeTable, SharesAndWarns) {
  const Case& c = GetParam();
  const PlacementDecision decision = PlaceByPredictedTime(c.problem);
  ExpectSound(c.problem, decision);
  EXPECT_EQ(Counts(decision), c.counts);
  if (c.warning.empty()) {
    EXPECT_THAT(decision.warnings, IsEmpty());
  } else {
    EXPECT_THAT(decision.warnings, ElementsAre(HasSubstr(c.warning)));
  }
  EXPECT_EQ(PlaceByPredictedTime(c.problem), decision) << "not a function";
}

INSTANTIATE_TEST_SUITE_P(
    , PlaceByPredictedTimeTable,
    ::testing::Values(
        Case{"NoShards", Problem(1, 2, 1, {}), {}, "there is no shard"},
        Case{"OneShard", Problem(2, 4, 1, {Shard(0, 100)}), {8}, ""},
        Case{"ThreeEven", Problem(2, 6, 1, {Shard(0, 9), Shard(1, 9), Shard(2, 9)}), {4, 4, 4}, ""},
        Case{"Remainder", Problem(1, 8, 1, {Shard(0, 9), Shard(1, 9), Shard(2, 9)}), {3, 3, 2}, ""},
        Case{"SmallShardIsFilled",
             Problem(1, 10, 1, {Shard(0, 2), Shard(1, 9), Shard(2, 9)}),
             {2, 4, 4},
             ""},
        Case{"TwoReplicas",
             Problem(1, 6, 2, {Shard(0, 9), Shard(1, 9), Shard(2, 9)}),
             {4, 4, 4},
             ""},
        Case{"ReplicasOnAllShards", Problem(2, 5, 2, {Shard(0, 99), Shard(1, 99)}), {10, 10}, ""},
        Case{"NotEnoughMemory",
             Problem(1, 10, 1, {Shard(0, 3), Shard(1, 4)}),
             {3, 4},
             "3 of 10 units have no shard"},
        Case{"CoverageBeforeReplicas",
             Problem(1, 6, 2, {Shard(0, 4), Shard(1, 4)}),
             {4, 4},
             "not enough memory for 2 replicas of 4 of 6 units"},
        Case{"FewerNodesThanReplicas",
             Problem(1, 4, 2, {Shard(0, 9, "a"), Shard(1, 9, "a")}),
             {4, 4},
             "4 of 4 units have replicas on one node"},
        Case{"UnevenNodes",
             Problem(1, 6, 2,
                     {Shard(0, 9, "a"), Shard(1, 9, "a"), Shard(2, 9, "a"), Shard(3, 9, "b")}),
             {2, 2, 2, 6},
             ""}),
    [](const auto& info) { return info.param.name; });

TEST(PlaceByPredictedTime, FewerShardsThanReplicasIsSaid) {
  const auto problem = Problem(1, 4, 3, {Shard(0, 9), Shard(1, 9)});
  const PlacementDecision decision = PlaceByPredictedTime(problem);
  ExpectSound(problem, decision);
  EXPECT_EQ(Counts(decision), (std::vector<std::size_t>{4, 4}));
  EXPECT_THAT(decision.warnings, ElementsAre(HasSubstr("3 replicas wanted, but only 2 shards")));
}

TEST(PlaceByPredictedTime, EveryLayerIsSpread) {
  const auto problem = Problem(5, 8, 1, {Shard(0, 99), Shard(1, 99), Shard(2, 99)});
  const PlacementDecision decision = PlaceByPredictedTime(problem);
  for (const auto& units : decision.units_of_shard) {
    std::vector<int> per_layer(5, 0);
    for (const std::uint32_t unit : units) ++per_layer[unit / 8];
    for (const int count : per_layer) {
      EXPECT_GE(count, 2);
      EXPECT_LE(count, 3);
    }
  }
}

TEST(PlaceByPredictedTime, NothingMovesWhenNothingChanged) {
  for (const std::uint32_t replicas : {1u, 2u}) {
    auto problem =
        Problem(7, 9, replicas, {Shard(0, 999, "a"), Shard(1, 999, "b"), Shard(2, 999, "c")});
    const PlacementDecision first = PlaceByPredictedTime(problem);
    for (std::size_t i = 0; i < 3; ++i) problem.shards[i].held = first.units_of_shard[i];
    const PlacementDecision again = PlaceByPredictedTime(problem);
    EXPECT_EQ(again.units_of_shard, first.units_of_shard);
    EXPECT_THAT(again.reasons, IsEmpty());
  }
}

TEST(PlaceByPredictedTime, ANewShardTakesItsShareAndNothingElseMoves) {
  auto problem = Problem(4, 12, 1, {Shard(0, 999), Shard(1, 999), Shard(2, 999)});
  const PlacementDecision before = PlaceByPredictedTime(problem);
  for (std::size_t i = 0; i < 3; ++i) problem.shards[i].held = before.units_of_shard[i];
  problem.shards.push_back(Shard(3, 999));
  const PlacementDecision after = PlaceByPredictedTime(problem);
  EXPECT_EQ(Counts(after), (std::vector<std::size_t>{12, 12, 12, 12}));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(std::includes(before.units_of_shard[i].begin(), before.units_of_shard[i].end(),
                              after.units_of_shard[i].begin(), after.units_of_shard[i].end()));
  }
}

TEST(PlaceByPredictedTime, ALostShardsUnitsGoElsewhereAndTheRestStays) {
  auto problem = Problem(4, 12, 1, {Shard(0, 999), Shard(1, 999), Shard(2, 999)});
  const PlacementDecision before = PlaceByPredictedTime(problem);
  problem.shards.pop_back();
  for (std::size_t i = 0; i < 2; ++i) problem.shards[i].held = before.units_of_shard[i];
  const PlacementDecision after = PlaceByPredictedTime(problem);
  EXPECT_EQ(Counts(after), (std::vector<std::size_t>{24, 24}));
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(std::includes(after.units_of_shard[i].begin(), after.units_of_shard[i].end(),
                              before.units_of_shard[i].begin(), before.units_of_shard[i].end()));
  }
}

TEST(PlaceByPredictedTime, SurplusCopiesMakeWayForUnitsWithoutAny) {
  // Both hold the same units; nobody holds 3, 4 and 5.
  auto problem = Problem(1, 6, 2, {Shard(0, 3, "", {0, 1, 2}), Shard(1, 3, "", {0, 1, 2})});
  const PlacementDecision decision = PlaceByPredictedTime(problem);
  ExpectSound(problem, decision);
  for (const auto& holders : Holders(problem, decision)) EXPECT_EQ(holders.size(), 1u);
}

TEST(PlaceByPredictedTime, ReplicasOnOneNodeAreMovedApart) {
  // Held so that every unit has both copies on one node, as after a change of labels.
  auto problem = Problem(1, 4, 2,
                         {Shard(0, 9, "a", {0, 1}), Shard(1, 9, "a", {0, 1}),
                          Shard(2, 9, "b", {2, 3}), Shard(3, 9, "b", {2, 3})});
  const PlacementDecision decision = PlaceByPredictedTime(problem);
  ExpectSound(problem, decision);
  EXPECT_EQ(Doubled(problem, decision), 0);
  EXPECT_THAT(decision.warnings, IsEmpty());
}

TEST(PlaceByPredictedTime, SoundForManyShapes) {
  for (std::uint32_t shards = 1; shards <= 7; ++shards) {
    for (std::uint32_t nodes = 1; nodes <= shards; ++nodes) {
      for (std::uint32_t replicas = 1; replicas <= 3; ++replicas) {
        for (const std::uint64_t room : {3, 11, 100}) {
          PlacementProblem problem = Problem(3, 5, replicas, {});
          for (std::uint32_t i = 0; i < shards; ++i) {
            problem.shards.push_back(Shard(i, room + i % 3, "node" + std::to_string(i % nodes)));
          }
          const PlacementDecision decision = PlaceByPredictedTime(problem);
          ExpectSound(problem, decision);
          std::uint64_t capacity = 0;
          for (const auto& shard : problem.shards) {
            capacity += std::min<std::uint64_t>(15, shard.memory_bytes / kUnitBytes);
          }
          const auto counts = Counts(decision);
          const std::uint64_t placed = std::accumulate(counts.begin(), counts.end(), 0ull);
          EXPECT_EQ(placed, std::min<std::uint64_t>(capacity, 15 * replicas))
              << shards << " shards, " << nodes << " nodes, " << replicas << " replicas, " << room;
          if (room == 100 && nodes >= replicas) {
            EXPECT_EQ(Doubled(problem, decision), 0) << shards << " shards, " << nodes << " nodes";
          }
        }
      }
    }
  }
}

TEST(PlaceByPredictedTime, FastShardsGetMore) {
  auto problem =
      Problem(1, 14, 1, {TimedShard(0, 99, 4), TimedShard(1, 99, 2), TimedShard(2, 99, 1)});
  const PlacementDecision decision = PlaceByPredictedTime(problem);
  EXPECT_THAT(Counts(decision), ElementsAre(2, 4, 8));
}

TEST(PlaceByPredictedTime, AHotUnitGetsReplicasWhereItPays) {
  auto problem = Problem(1, 8, 1, {Shard(0, 9), Shard(1, 9), Shard(2, 9), Shard(3, 9)});
  problem.loads = Rows({80, 10, 10, 10, 10, 10, 10, 10});
  const PlacementDecision decision = PlaceByPredictedTime(problem);
  // 150 rows for four shards: the hot unit alone is more than two shards' worth.
  EXPECT_GE(Holders(problem, decision)[0].size(), 3u);
  EXPECT_LE(ForecastPlacement(problem, decision.units_of_shard).imbalance, 1.07);
  EXPECT_THAT(decision.reasons, Contains(HasSubstr("layer 0 unit 0: one more replica, on shard")));
  EXPECT_THAT(decision.reasons, Contains(HasSubstr("53.3 % of the layer's rows")));
}

TEST(PlaceByPredictedTime, MemoryIsNotFilledWithReplicasThatGainNothing) {
  auto problem = Problem(2, 16, 1, {Shard(0, 99), Shard(1, 99), Shard(2, 99), Shard(3, 99)});
  problem.loads = Rows(std::vector<float>(32, 5));
  EXPECT_THAT(Counts(PlaceByPredictedTime(problem)), ElementsAre(8, 8, 8, 8));
}

TEST(PlaceByPredictedTime, FurtherReplicasLeaveRoomToMove) {
  auto problem = Problem(1, 4, 1, {Shard(0, 3), Shard(1, 3)});
  problem.loads = Rows({90, 10, 10, 10});
  for (const std::size_t count : Counts(PlaceByPredictedTime(problem))) EXPECT_LE(count, 3u);
  BalanceOptions options;
  options.max_extra_replicas = 0;
  for (const auto& holders : Holders(problem, PlaceByPredictedTime(problem, options))) {
    EXPECT_EQ(holders.size(), 1u);
  }
}

TEST(PlaceByPredictedTime, ExpertsTouchedCountAsWellAsRows) {
  // All units have equally many rows, but half of them always touch an expert and half seldom.
  auto problem = Problem(1, 8, 1, {Shard(0, 99), Shard(1, 99)});
  for (ShardCapacity& shard : problem.shards) {
    shard.us_per_row = 1;
    shard.us_per_expert = 50;
  }
  problem.loads = {{4, 1}, {4, 1}, {4, 1}, {4, 1}, {4, 0.1f}, {4, 0.1f}, {4, 0.1f}, {4, 0.1f}};
  BalanceOptions options;
  options.max_extra_replicas = 0;
  for (const auto& units : PlaceByPredictedTime(problem, options).units_of_shard) {
    EXPECT_EQ(std::count_if(units.begin(), units.end(), [](auto unit) { return unit < 4; }), 2);
  }
}

TEST(PlaceByPredictedTime, AFastShardThatJoinsTakesHotUnits) {
  auto problem = Problem(1, 8, 1, {TimedShard(0, 99, 4), TimedShard(1, 99, 4)});
  problem.loads = Rows({40, 30, 10, 10, 5, 5, 5, 5});
  Adopt(problem, PlaceByPredictedTime(problem));
  problem.shards.push_back(TimedShard(2, 99, 1));
  const PlacementDecision decision = PlaceByPredictedTime(problem);
  EXPECT_THAT(decision.units_of_shard[2], AllOf(Contains(0u), Contains(1u)));
  EXPECT_THAT(decision.reasons,
              Contains(AllOf(HasSubstr("to shard 2"), HasSubstr("was the slowest of its layer"))));
}

TEST(PlaceByPredictedTime, ASmallGainMovesNothingAndSaysSo) {
  auto problem = Problem(1, 4, 1, {Shard(0, 99, "", {0, 1}), Shard(1, 99, "", {2, 3})});
  problem.loads = Rows({52, 50, 50, 48});
  const PlacementDecision decision = PlaceByPredictedTime(problem);
  EXPECT_EQ(UnitsToLoad(problem, decision), 0u);
  EXPECT_THAT(decision.reasons,
              ElementsAre(AllOf(HasSubstr("no change: the best plan would shorten"),
                                HasSubstr("below the 10.0 %"))));
}

TEST(PlaceByPredictedTime, MovesThatTakeLongerThanTheySaveAreNotMade) {
  auto problem = Problem(1, 4, 1, {Shard(0, 99, "", {0, 1, 2}), Shard(1, 99, "", {3})});
  problem.loads = Rows({10, 10, 10, 10});
  BalanceOptions options;
  EXPECT_EQ(UnitsToLoad(problem, PlaceByPredictedTime(problem, options)), 1u);
  options.move_bytes_per_s = kUnitBytes / 100.0;
  options.horizon_s = 200;  // a load takes 100 s, and a third of 200 s would be saved
  options.min_unit_gain = 0;
  const PlacementDecision decision = PlaceByPredictedTime(problem, options);
  EXPECT_EQ(UnitsToLoad(problem, decision), 0u);
}

TEST(PlaceByPredictedTime, OneLayerOutOfLineIsPutRightAlone) {
  // 40 layers alike; in one of them a unit turns hot: less than 5 % of a step.
  auto problem = Problem(40, 8, 1, {Shard(0, 999), Shard(1, 999), Shard(2, 999), Shard(3, 999)});
  std::vector<float> rows(320, 10);
  problem.loads = Rows(rows);
  Adopt(problem, PlaceByPredictedTime(problem));
  rows[3 * 8 + 5] = 40;
  problem.loads = Rows(rows);
  const PlacementDecision decision = PlaceByPredictedTime(problem);
  const std::size_t loads = UnitsToLoad(problem, decision);
  EXPECT_GE(loads, 1u);
  EXPECT_LE(loads, 8u);
  for (std::size_t i = 1; i < decision.reasons.size(); ++i) {
    EXPECT_THAT(decision.reasons[i], HasSubstr("layer 3 "));
  }
}

TEST(PlaceByPredictedTime, ReasonsAreBoundedAndNameLayersOfTheModel) {
  auto problem = Problem(20, 8, 1, {Shard(0, 999), Shard(1, 999), Shard(2, 999), Shard(3, 999)});
  for (std::uint32_t layer = 0; layer < 20; ++layer) problem.layer_numbers.push_back(layer + 3);
  std::vector<float> rows;
  for (int i = 0; i < 160; ++i) rows.push_back(i % 8 == 0 ? 100 : 5);
  problem.loads = Rows(rows);
  BalanceOptions options;
  options.max_reasons = 10;
  const PlacementDecision decision = PlaceByPredictedTime(problem, options);
  ASSERT_EQ(decision.reasons.size(), 10u);
  EXPECT_THAT(decision.reasons.back(), HasSubstr(" more"));
  EXPECT_THAT(decision.reasons, Contains(HasSubstr("layer 3 unit 0")));
}

TEST(PlaceByPredictedTime, TheBusiestShardIsRelievedWhereNoLayerCanBeShortened) {
  // Nine units on four shards: three, two, two, two, whoever has the three.
  auto problem = Problem(8, 9, 1, {Shard(0, 999), Shard(1, 999), Shard(2, 999)});
  Adopt(problem, PlaceByPredictedTime(problem));
  problem.shards.push_back(Shard(3, 999));
  const PlacementDecision decision = PlaceByPredictedTime(problem);
  EXPECT_THAT(Counts(decision), Each(::testing::Ge(17u)));
  EXPECT_THAT(decision.reasons, Contains(HasSubstr("leave the busiest shards")));
}

}  // namespace
}  // namespace moesaic::placement
