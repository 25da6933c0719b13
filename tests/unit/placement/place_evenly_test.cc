#include "placement/place_evenly.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace moesaic::placement {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::uint64_t kUnitBytes = 100;

ShardCapacity Shard(std::uint32_t id, std::uint64_t units, std::string node = "",
                    std::vector<std::uint32_t> held = {}) {
  return {.id = base::ShardId(id),
          .node = std::move(node),
          .zone = "",
          .memory_bytes = units * kUnitBytes,
          .held = std::move(held)};
}

PlacementProblem Problem(std::uint32_t layers, std::uint32_t units_per_layer,
                         std::uint32_t replicas, std::vector<ShardCapacity> shards) {
  return {.layers = layers,
          .units_per_layer = units_per_layer,
          .unit_bytes = kUnitBytes,
          .replicas = replicas,
          .shards = std::move(shards)};
}

std::vector<std::size_t> Counts(const PlacementDecision& decision) {
  std::vector<std::size_t> counts;
  for (const auto& units : decision.units_of_shard) counts.push_back(units.size());
  return counts;
}

/// Shard indices of each unit.
std::vector<std::vector<std::size_t>> Holders(const PlacementProblem& problem,
                                              const PlacementDecision& decision) {
  std::vector<std::vector<std::size_t>> holders(problem.units());
  for (std::size_t shard = 0; shard < decision.units_of_shard.size(); ++shard) {
    for (const std::uint32_t unit : decision.units_of_shard[shard]) holders[unit].push_back(shard);
  }
  return holders;
}

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

class PlaceEvenlyTable : public ::testing::TestWithParam<Case> {};

TEST_P(PlaceEvenlyTable, SharesAndWarns) {
  const Case& c = GetParam();
  const PlacementDecision decision = PlaceEvenly(c.problem);
  ExpectSound(c.problem, decision);
  EXPECT_EQ(Counts(decision), c.counts);
  if (c.warning.empty()) {
    EXPECT_THAT(decision.warnings, IsEmpty());
  } else {
    EXPECT_THAT(decision.warnings, ElementsAre(HasSubstr(c.warning)));
  }
  EXPECT_EQ(PlaceEvenly(c.problem), decision) << "not a function";
}

INSTANTIATE_TEST_SUITE_P(
    , PlaceEvenlyTable,
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

TEST(PlaceEvenly, FewerShardsThanReplicasIsSaid) {
  const auto problem = Problem(1, 4, 3, {Shard(0, 9), Shard(1, 9)});
  const PlacementDecision decision = PlaceEvenly(problem);
  ExpectSound(problem, decision);
  EXPECT_EQ(Counts(decision), (std::vector<std::size_t>{4, 4}));
  EXPECT_THAT(decision.warnings, ElementsAre(HasSubstr("3 replicas wanted, but only 2 shards")));
}

TEST(PlaceEvenly, EveryLayerIsSpread) {
  const auto problem = Problem(5, 8, 1, {Shard(0, 99), Shard(1, 99), Shard(2, 99)});
  const PlacementDecision decision = PlaceEvenly(problem);
  for (const auto& units : decision.units_of_shard) {
    std::vector<int> per_layer(5, 0);
    for (const std::uint32_t unit : units) ++per_layer[unit / 8];
    for (const int count : per_layer) {
      EXPECT_GE(count, 2);
      EXPECT_LE(count, 3);
    }
  }
}

TEST(PlaceEvenly, NothingMovesWhenNothingChanged) {
  for (const std::uint32_t replicas : {1u, 2u}) {
    auto problem =
        Problem(7, 9, replicas, {Shard(0, 999, "a"), Shard(1, 999, "b"), Shard(2, 999, "c")});
    const PlacementDecision first = PlaceEvenly(problem);
    for (std::size_t i = 0; i < 3; ++i) problem.shards[i].held = first.units_of_shard[i];
    EXPECT_EQ(PlaceEvenly(problem), first);
  }
}

TEST(PlaceEvenly, ANewShardTakesItsShareAndNothingElseMoves) {
  auto problem = Problem(4, 12, 1, {Shard(0, 999), Shard(1, 999), Shard(2, 999)});
  const PlacementDecision before = PlaceEvenly(problem);
  for (std::size_t i = 0; i < 3; ++i) problem.shards[i].held = before.units_of_shard[i];
  problem.shards.push_back(Shard(3, 999));
  const PlacementDecision after = PlaceEvenly(problem);
  EXPECT_EQ(Counts(after), (std::vector<std::size_t>{12, 12, 12, 12}));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(std::includes(before.units_of_shard[i].begin(), before.units_of_shard[i].end(),
                              after.units_of_shard[i].begin(), after.units_of_shard[i].end()));
  }
}

TEST(PlaceEvenly, ALostShardsUnitsGoElsewhereAndTheRestStays) {
  auto problem = Problem(4, 12, 1, {Shard(0, 999), Shard(1, 999), Shard(2, 999)});
  const PlacementDecision before = PlaceEvenly(problem);
  problem.shards.pop_back();
  for (std::size_t i = 0; i < 2; ++i) problem.shards[i].held = before.units_of_shard[i];
  const PlacementDecision after = PlaceEvenly(problem);
  EXPECT_EQ(Counts(after), (std::vector<std::size_t>{24, 24}));
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(std::includes(after.units_of_shard[i].begin(), after.units_of_shard[i].end(),
                              before.units_of_shard[i].begin(), before.units_of_shard[i].end()));
  }
}

TEST(PlaceEvenly, SurplusCopiesMakeWayForUnitsWithoutAny) {
  // Both hold the same units; nobody holds 3, 4 and 5.
  auto problem = Problem(1, 6, 2, {Shard(0, 3, "", {0, 1, 2}), Shard(1, 3, "", {0, 1, 2})});
  const PlacementDecision decision = PlaceEvenly(problem);
  ExpectSound(problem, decision);
  for (const auto& holders : Holders(problem, decision)) EXPECT_EQ(holders.size(), 1u);
}

TEST(PlaceEvenly, ReplicasOnOneNodeAreMovedApart) {
  // Held so that every unit has both copies on one node, as after a change of labels.
  auto problem = Problem(1, 4, 2,
                         {Shard(0, 9, "a", {0, 1}), Shard(1, 9, "a", {0, 1}),
                          Shard(2, 9, "b", {2, 3}), Shard(3, 9, "b", {2, 3})});
  const PlacementDecision decision = PlaceEvenly(problem);
  ExpectSound(problem, decision);
  EXPECT_EQ(Doubled(problem, decision), 0);
  EXPECT_THAT(decision.warnings, IsEmpty());
}

TEST(PlaceEvenly, SoundForManyShapes) {
  for (std::uint32_t shards = 1; shards <= 7; ++shards) {
    for (std::uint32_t nodes = 1; nodes <= shards; ++nodes) {
      for (std::uint32_t replicas = 1; replicas <= 3; ++replicas) {
        for (const std::uint64_t room : {3, 11, 100}) {
          PlacementProblem problem = Problem(3, 5, replicas, {});
          for (std::uint32_t i = 0; i < shards; ++i) {
            problem.shards.push_back(Shard(i, room + i % 3, "node" + std::to_string(i % nodes)));
          }
          const PlacementDecision decision = PlaceEvenly(problem);
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

}  // namespace
}  // namespace moesaic::placement
