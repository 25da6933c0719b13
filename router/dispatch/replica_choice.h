#pragma once

#include <cstdint>
#include <optional>

#include "absl/types/span.h"
#include "base/ids.h"

namespace moesaic::router {

/// One live holder of a unit, as the choice sees it.
struct ReplicaLoad {
  base::ShardId shard;
  std::uint64_t in_flight_rows = 0;  ///< Result rows awaited from it.
  bool draining = false;             ///< Takes work only where nobody else can.
};

/// Picks who computes a unit: one that is not draining if there is one, then the least in flight,
/// then the lowest id. Pure. Returns an index into `replicas`; nullopt when it is empty.
std::optional<std::size_t> ChooseReplica(absl::Span<const ReplicaLoad> replicas);

}  // namespace moesaic::router
