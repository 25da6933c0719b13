#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"

namespace moesaic::placement {

/// A shard that can be given units.
struct ShardCapacity {
  base::ShardId id;
  std::string node;  ///< Machine; empty = a machine of its own.
  std::string zone;  ///< Failure zone; empty = unknown.
  std::uint64_t memory_bytes = 0;
  double us_per_row = 0;            ///< Per (row, expert) assignment; 0 = not measured.
  double us_per_expert = 0;         ///< Per distinct expert touched, beside its rows.
  std::vector<std::uint32_t> held;  ///< Units it holds or is loading now, ascending.
};

/// What a unit is asked for by one expert call of its layer (a step of one router), in the mean.
struct UnitLoad {
  float rows = 0;     ///< (Row, expert) assignments.
  float experts = 0;  ///< Distinct experts of the unit that are touched.
};

/// What is to be placed where. Units are numbered layer by layer.
struct PlacementProblem {
  std::uint32_t layers = 0;
  std::uint32_t units_per_layer = 0;
  std::uint64_t unit_bytes = 0;
  std::uint32_t replicas = 1;  ///< Copies wanted of each unit, at least 1.
  std::vector<ShardCapacity> shards;
  std::vector<UnitLoad> loads = {};  ///< [units()]; empty = nothing is known, all are alike.
  /// Expert groups of a layer, of equally many consecutive units; 1 = none. For the published
  /// algorithm only.
  std::uint32_t groups = 1;
  /// [layers] the model's number of each, for people; empty = they are counted from 0.
  std::vector<std::uint32_t> layer_numbers = {};

  std::uint32_t units() const { return layers * units_per_layer; }
};

/// What a placement leaves to be desired: numbers of units. All 0 when nothing is.
struct PlacementShortfall {
  std::uint32_t uncovered = 0;          ///< On no shard.
  std::uint32_t short_of_replicas = 0;  ///< On some, but on fewer than wanted and possible.
  std::uint32_t sharing_node = 0;       ///< On fewer nodes than it should have replicas.
  std::uint32_t sharing_zone = 0;       ///< In fewer zones than it should have replicas.

  bool operator==(const PlacementShortfall&) const = default;
};

/// The answer to a PlacementProblem.
struct PlacementDecision {
  std::vector<std::vector<std::uint32_t>> units_of_shard;  ///< [shards], each ascending.
  /// What could not be satisfied, for people; empty when everything was.
  std::vector<std::string> warnings;
  PlacementShortfall shortfall;  ///< The same in numbers.
  /// Why something is to change, a line each, the weightiest first; empty when all stays.
  std::vector<std::string> reasons;

  bool operator==(const PlacementDecision&) const = default;
};

}  // namespace moesaic::placement
