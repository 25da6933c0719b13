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
  std::vector<std::uint32_t> held;  ///< Units it holds now, ascending.
};

/// What is to be placed where. Units are numbered layer by layer.
struct PlacementProblem {
  std::uint32_t layers = 0;
  std::uint32_t units_per_layer = 0;
  std::uint64_t unit_bytes = 0;
  std::uint32_t replicas = 1;  ///< Copies wanted of each unit, at least 1.
  std::vector<ShardCapacity> shards;

  std::uint32_t units() const { return layers * units_per_layer; }
};

/// The answer to a PlacementProblem.
struct PlacementDecision {
  std::vector<std::vector<std::uint32_t>> units_of_shard;  ///< [shards], each ascending.
  /// What could not be satisfied, for people; empty when everything was.
  std::vector<std::string> warnings;

  bool operator==(const PlacementDecision&) const = default;
};

/// Spreads units over shards. In order of importance:
///   1. no shard beyond its memory, no unit twice on a shard;
///   2. every unit once before any twice, then up to `replicas` copies;
///   3. copies of a unit on different nodes;
///   4. every shard the same number of units, as far as 1 and 3 leave a choice;
///   5. what a shard holds stays there;
///   6. units of one layer spread over shards in proportion, copies over different zones.
/// A pure function; the same problem gives the same answer. Shards weigh by count alone: loads and
/// speeds come with the balancer.
PlacementDecision PlaceEvenly(const PlacementProblem& problem);

}  // namespace moesaic::placement
