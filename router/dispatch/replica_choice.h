#pragma once

#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/ids.h"

namespace moesaic::router {

/// How a holder of a unit stands with the router. A worse one gets work only where no better one
/// can take it.
enum class ReplicaStanding : std::uint8_t {
  kGood,
  kDraining,  ///< It finishes what it has and leaves.
  kSuspect,  ///< It has been silent for too long, or its stream broke, and it has not answered yet.
};

/// One holder of a unit that could be sent to now, as the choice sees it.
struct ReplicaLoad {
  base::ShardId shard;
  ReplicaStanding standing = ReplicaStanding::kGood;
  /// Predicted time until the work would be answered.
  absl::Duration completion;
  /// Predicted time the shard spends on it.
  absl::Duration cost;
};

/// Picks who computes a unit: of the best standing, two at random (M. Mitzenmacher, "The Power of
/// Two Choices in Randomized Load Balancing", 2001: predictions are stale, and everybody running to
/// the one best shard would make it the worst), of these the one with the smaller completion plus
/// cost, so that of two equally early ones the work goes where it is cheap, as on a shard that
/// reads the expert's weights anyway; then the lowest id. `random`: any 64 random bits, the same
/// ones for the same decision.
/// Pure. Returns an index into `replicas`; nullopt when it is empty.
std::optional<std::size_t> ChooseReplica(absl::Span<const ReplicaLoad> replicas,
                                         std::uint64_t random);

}  // namespace moesaic::router
