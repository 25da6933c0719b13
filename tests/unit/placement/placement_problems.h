#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "placement/placement_problem.h"

namespace moesaic::placement {

/// Every unit of the problems below.
inline constexpr std::uint64_t kUnitBytes = 100;

/// Units of each shard.
using Units = std::vector<std::vector<std::uint32_t>>;

/// A shard of `units` units' memory whose speed is not known.
inline ShardCapacity Shard(std::uint32_t id, std::uint64_t units, std::string node = "",
                           std::vector<std::uint32_t> held = {}) {
  return {.id = base::ShardId(id),
          .node = std::move(node),
          .zone = "",
          .memory_bytes = units * kUnitBytes,
          .held = std::move(held)};
}

/// A shard that takes so long for a row, and nothing for an expert beside its rows.
inline ShardCapacity TimedShard(std::uint32_t id, std::uint64_t units, double us_per_row) {
  ShardCapacity shard = Shard(id, units);
  shard.us_per_row = us_per_row;
  return shard;
}

inline PlacementProblem Problem(std::uint32_t layers, std::uint32_t units_per_layer,
                                std::uint32_t replicas, std::vector<ShardCapacity> shards) {
  return {.layers = layers,
          .units_per_layer = units_per_layer,
          .unit_bytes = kUnitBytes,
          .replicas = replicas,
          .shards = std::move(shards)};
}

/// Loads with so many rows each, all of one expert where there is any.
inline std::vector<UnitLoad> Rows(const std::vector<float>& rows) {
  std::vector<UnitLoad> loads;
  for (const float r : rows) loads.push_back({.rows = r, .experts = std::min(1.0f, r)});
  return loads;
}

/// Shard indices of each unit.
inline std::vector<std::vector<std::size_t>> Holders(const PlacementProblem& problem,
                                                     const PlacementDecision& decision) {
  std::vector<std::vector<std::size_t>> holders(problem.units());
  for (std::size_t shard = 0; shard < decision.units_of_shard.size(); ++shard) {
    for (const std::uint32_t unit : decision.units_of_shard[shard]) holders[unit].push_back(shard);
  }
  return holders;
}

inline std::vector<std::size_t> Counts(const PlacementDecision& decision) {
  std::vector<std::size_t> counts;
  for (const auto& units : decision.units_of_shard) counts.push_back(units.size());
  return counts;
}

/// The decision has been carried out.
inline void Adopt(PlacementProblem& problem, const PlacementDecision& decision) {
  for (std::size_t i = 0; i < problem.shards.size(); ++i) {
    problem.shards[i].held = decision.units_of_shard[i];
  }
}

/// Units that shards have to load for the decision.
inline std::size_t UnitsToLoad(const PlacementProblem& problem, const PlacementDecision& decision) {
  std::size_t loads = 0;
  for (std::size_t i = 0; i < problem.shards.size(); ++i) {
    const auto& held = problem.shards[i].held;
    for (const std::uint32_t unit : decision.units_of_shard[i]) {
      loads += !std::binary_search(held.begin(), held.end(), unit);
    }
  }
  return loads;
}

}  // namespace moesaic::placement
