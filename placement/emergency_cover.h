#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.h"

namespace moesaic::placement {

/// Units that no live shard holds or is loading, and who could take them.
struct CoverProblem {
  struct Shard {
    base::ShardId id;
    std::uint32_t room = 0;            ///< Units that fit beside `units`.
    std::vector<std::uint32_t> units;  ///< Held or being loaded, ascending.
  };
  std::vector<Shard> live;                 ///< Shards that answer and stay.
  std::vector<std::uint32_t> live_copies;  ///< [units] of them that hold or are loading it.
  std::vector<std::uint32_t> lost;         ///< Units to be covered, the weightiest first.
};

/// A shard is to load a unit at once, and to give another one up where it has no room.
struct Cover {
  std::uint32_t unit = 0;
  base::ShardId shard;
  std::optional<std::uint32_t> evicted;  ///< Has another live copy.
};

/// Decides who loads the units that are lost with shards which broke off, without waiting whether
/// these come back: each on the shard with most room, else on one that gives up a unit of which
/// there are most other copies. Units for which there is nobody are left out. Pure.
std::vector<Cover> CoverLost(CoverProblem problem);

}  // namespace moesaic::placement
