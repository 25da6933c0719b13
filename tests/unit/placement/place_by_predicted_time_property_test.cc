/// Properties of PlaceByPredictedTime over random problems: what must hold of any answer, whatever
/// loads, speeds, memory and labels.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "placement/forecast.h"
#include "placement/place_by_predicted_time.h"
#include "tests/unit/placement/placement_problems.h"

namespace moesaic::placement {
namespace {

using ::testing::IsEmpty;

class RandomProblems {
 public:
  explicit RandomProblems(std::uint32_t seed) : random_(seed) {}

  std::uint32_t Below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }

  /// room: memory of each shard in shares of an even one, with the wanted replicas of all units.
  PlacementProblem Next(double room) {
    auto problem = Problem(1 + Below(4), 4 + Below(20), 1 + Below(3), {});
    const std::uint32_t shards = problem.replicas + Below(8);
    const std::uint32_t nodes = 1 + Below(shards), zones = 1 + Below(3);
    const double even = std::ceil(problem.units() * problem.replicas / double(shards));
    for (std::uint32_t i = 0; i < shards; ++i) {
      const auto units = static_cast<std::uint64_t>(even * room * (1 + Below(3)));
      problem.shards.push_back(Shard(i, units, "node" + std::to_string(i % nodes)));
      problem.shards.back().zone = Below(4) == 0 ? "" : "zone" + std::to_string(i % zones);
      if (Below(4) > 0) problem.shards.back().us_per_row = 1 << Below(3);
      problem.shards.back().us_per_expert = Below(5);
    }
    if (Below(4) > 0) problem.loads = Loads(problem.units());
    return problem;
  }

  /// Few are hot, many are cold, some are never asked for.
  std::vector<UnitLoad> Loads(std::uint32_t units) {
    std::vector<float> rows;
    for (std::uint32_t unit = 0; unit < units; ++unit) {
      rows.push_back(Below(10) == 0 ? 0 : 100.0f / static_cast<float>(1 + Below(50)));
    }
    return Rows(rows);
  }

  /// Some of what `decision` says is held, and some that it does not.
  void HoldSome(PlacementProblem& problem, const PlacementDecision& decision) {
    for (std::size_t i = 0; i < problem.shards.size(); ++i) {
      std::set<std::uint32_t> held;
      for (const std::uint32_t unit : decision.units_of_shard[i]) {
        if (Below(8) > 0) held.insert(unit);
      }
      for (std::uint32_t n = Below(4); n > 0; --n) held.insert(Below(problem.units()));
      problem.shards[i].held.assign(held.begin(), held.end());
    }
  }

 private:
  std::mt19937 random_;
};

std::size_t CapacityInUnits(const PlacementProblem& problem) {
  std::size_t capacity = 0;
  for (const ShardCapacity& shard : problem.shards) {
    capacity += std::min<std::size_t>(problem.units(), shard.memory_bytes / kUnitBytes);
  }
  return capacity;
}

void ExpectLegal(const PlacementProblem& problem, const PlacementDecision& decision) {
  ASSERT_EQ(decision.units_of_shard.size(), problem.shards.size());
  for (std::size_t i = 0; i < problem.shards.size(); ++i) {
    const auto& units = decision.units_of_shard[i];
    EXPECT_LE(units.size() * problem.unit_bytes, problem.shards[i].memory_bytes);
    EXPECT_TRUE(std::is_sorted(units.begin(), units.end()));
    EXPECT_EQ(std::adjacent_find(units.begin(), units.end()), units.end()) << "twice on a shard";
  }
  std::size_t least = problem.units(), most = 0;
  for (const auto& holders : Holders(problem, decision)) {
    least = std::min(least, std::min<std::size_t>(holders.size(), problem.replicas));
    most = std::max(most, holders.size());
    if (problem.loads.empty()) {
      EXPECT_LE(holders.size(), problem.replicas);
    }
  }
  const std::size_t capacity = CapacityInUnits(problem);
  EXPECT_GE(least, std::min<std::size_t>(problem.replicas, capacity / problem.units()))
      << "the floor is reached where memory allows";
  if (least == 0) {
    EXPECT_LE(most, 1u) << "every unit once before any twice";
  }
  EXPECT_EQ(decision.shortfall.uncovered == 0, least > 0);
}

TEST(PlaceByPredictedTimeProperty, LegalAndAFunction) {
  RandomProblems random(1);
  for (int round = 0; round < 400; ++round) {
    const double rooms[] = {0.3, 0.5, 1, 4};
    PlacementProblem problem = random.Next(rooms[random.Below(4)]);
    const PlacementDecision fresh = PlaceByPredictedTime(problem);
    ExpectLegal(problem, fresh);
    EXPECT_EQ(PlaceByPredictedTime(problem), fresh);
    random.HoldSome(problem, fresh);
    const PlacementDecision repaired = PlaceByPredictedTime(problem);
    ExpectLegal(problem, repaired);
    EXPECT_EQ(PlaceByPredictedTime(problem), repaired);
    if (HasFailure()) FAIL() << "round " << round;
  }
}

TEST(PlaceByPredictedTimeProperty, ReplicasAreApartWhereThereIsMemory) {
  RandomProblems random(2);
  for (int round = 0; round < 300; ++round) {
    PlacementProblem problem = random.Next(1);
    for (ShardCapacity& shard : problem.shards) {
      shard.memory_bytes = problem.units() * kUnitBytes;
      if (random.Below(2) == 0) shard.zone = "";
    }
    std::set<std::string> nodes;
    for (const ShardCapacity& shard : problem.shards) nodes.insert(shard.node);
    const PlacementDecision fresh = PlaceByPredictedTime(problem);
    EXPECT_EQ(fresh.shortfall.sharing_node == 0, nodes.size() >= problem.replicas)
        << "round " << round;
    EXPECT_EQ(fresh.shortfall.sharing_node + fresh.shortfall.sharing_zone > 0,
              !fresh.warnings.empty());
    random.HoldSome(problem, fresh);
    EXPECT_EQ(PlaceByPredictedTime(problem).shortfall.sharing_node == 0,
              nodes.size() >= problem.replicas)
        << "round " << round;
  }
}

/// Nearly always at once; where memory is short, replicas move apart as room allows, a few a round.
TEST(PlaceByPredictedTimeProperty, ItsOwnPlacementIsLeftAlone) {
  RandomProblems random(3);
  int put_right = 0;
  for (int round = 0; round < 600; ++round) {
    PlacementProblem problem = random.Next(round % 2 == 0 ? 1 : 4);
    Adopt(problem, PlaceByPredictedTime(problem));
    std::size_t loads = 1;
    for (int again = 0; again < 12 && loads > 0; ++again) {
      const PlacementDecision decision = PlaceByPredictedTime(problem);
      loads = UnitsToLoad(problem, decision);
      put_right += again == 0 && loads > 0;
      Adopt(problem, decision);
    }
    EXPECT_EQ(loads, 0u) << "round " << round;
  }
  EXPECT_LE(put_right, 6);
}

TEST(PlaceByPredictedTimeProperty, ALostShardsUnitsGoElsewhereAndNothingElseMoves) {
  RandomProblems random(4);
  for (int round = 0; round < 200; ++round) {
    PlacementProblem problem = random.Next(4);
    // Labels could demand that a replica which is there moves too.
    for (ShardCapacity& shard : problem.shards) shard.node = shard.zone = "";
    problem.shards.push_back(Shard(99, problem.units()));
    problem.replicas = 1 + random.Below(2);
    // Nothing for speed: only what must be done.
    BalanceOptions options;
    options.min_gain = options.min_layer_gain = 1;
    options.max_extra_replicas = 0;
    const PlacementDecision before = PlaceByPredictedTime(problem, options);
    Adopt(problem, before);
    const std::size_t lost = problem.shards.back().held.size();
    problem.shards.pop_back();
    const PlacementDecision repaired = PlaceByPredictedTime(problem, options);
    ExpectLegal(problem, repaired);
    // Where memory was short, units that had too few replicas may get them now.
    if (before.shortfall != PlacementShortfall() || repaired.shortfall != PlacementShortfall()) {
      continue;
    }
    EXPECT_LE(UnitsToLoad(problem, repaired), lost) << "round " << round;
    for (std::size_t i = 0; i < problem.shards.size(); ++i) {
      EXPECT_TRUE(std::includes(repaired.units_of_shard[i].begin(),
                                repaired.units_of_shard[i].end(), problem.shards[i].held.begin(),
                                problem.shards[i].held.end()))
          << "round " << round << " shard " << i;
    }
  }
}

struct Noise {
  const char* name;
  float amplitude;      // of each unit's load, both ways
  std::size_t changes;  // of the placement, at most, in a hundred rounds
};

void PrintTo(const Noise& noise, std::ostream* out) { *out << noise.name; }

class PlaceByPredictedTimeNoise : public ::testing::TestWithParam<Noise> {};

TEST_P(PlaceByPredictedTimeNoise, DoesNotThrash) {
  std::mt19937 random(5);
  std::lognormal_distribution<float> hot(0, 1.5f);
  std::uniform_real_distribution<float> noise(1 - GetParam().amplitude, 1 + GetParam().amplitude);
  for (const std::uint32_t replicas : {1u, 2u}) {
    auto problem = Problem(8, 64, replicas, {});
    for (std::uint32_t i = 0; i < 8; ++i) {
      problem.shards.push_back(TimedShard(i, 300, 1 << i % 3));
    }
    std::vector<float> rows;
    for (std::uint32_t unit = 0; unit < problem.units(); ++unit) rows.push_back(hot(random));
    problem.loads = Rows(rows);
    Adopt(problem, PlaceByPredictedTime(problem));
    std::size_t changes = 0;
    for (int round = 0; round < 100; ++round) {
      std::vector<float> noisy;
      for (const float r : rows) noisy.push_back(r * noise(random));
      problem.loads = Rows(noisy);
      const PlacementDecision decision = PlaceByPredictedTime(problem);
      changes += UnitsToLoad(problem, decision) > 0;
      Adopt(problem, decision);
    }
    EXPECT_LE(changes, GetParam().changes) << replicas << " replicas";
  }
}

// A placement made for the first loads exactly may be put right once or twice; then it is robust.
INSTANTIATE_TEST_SUITE_P(, PlaceByPredictedTimeNoise,
                         ::testing::Values(Noise{"Little", 0.05f, 1}, Noise{"Much", 0.1f, 2}),
                         [](const auto& info) { return info.param.name; });

/// Carries `plan` out make before break, as the coordinator does: a shard loads what fits beside
/// what it holds, and unloads a unit when all that shall have it do. False if it gets stuck.
bool CarryOut(const PlacementProblem& problem, const PlacementDecision& plan) {
  const auto wanted = Holders(problem, plan);
  std::vector<std::set<std::uint32_t>> held;
  for (const ShardCapacity& shard : problem.shards) {
    held.emplace_back(shard.held.begin(), shard.held.end());
  }
  const auto settled = [&](std::uint32_t unit) {
    return std::all_of(wanted[unit].begin(), wanted[unit].end(),
                       [&](std::size_t shard) { return held[shard].contains(unit); });
  };
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t i = 0; i < held.size(); ++i) {
      const auto& units = plan.units_of_shard[i];
      for (const std::uint32_t unit : units) {
        if (held[i].size() * kUnitBytes + kUnitBytes > problem.shards[i].memory_bytes) break;
        moved |= held[i].insert(unit).second;
      }
      moved |= std::erase_if(held[i], [&](std::uint32_t unit) {
                 return !std::binary_search(units.begin(), units.end(), unit) && settled(unit);
               }) > 0;
    }
  }
  for (std::size_t i = 0; i < held.size(); ++i) {
    const auto& units = plan.units_of_shard[i];
    if (!std::equal(held[i].begin(), held[i].end(), units.begin(), units.end())) return false;
  }
  return true;
}

TEST(PlaceByPredictedTimeProperty, PlansForSpeedCanBeCarriedOutMakeBeforeBreak) {
  RandomProblems random(6);
  int changed = 0;
  for (int round = 0; round < 300; ++round) {
    PlacementProblem problem = random.Next(round % 2 == 0 ? 1 : 1.2);
    problem.loads = random.Loads(problem.units());
    Adopt(problem, PlaceByPredictedTime(problem));
    problem.loads = random.Loads(problem.units());
    const PlacementDecision plan = PlaceByPredictedTime(problem);
    changed += UnitsToLoad(problem, plan) > 0;
    EXPECT_TRUE(CarryOut(problem, plan)) << "round " << round;
  }
  EXPECT_GT(changed, 100) << "the loads have changed in all of them";
}

}  // namespace
}  // namespace moesaic::placement
