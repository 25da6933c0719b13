#include "router/dispatch/replica_choice.h"

#include <algorithm>
#include <tuple>

#include "absl/container/inlined_vector.h"

namespace moesaic::router {

std::optional<std::size_t> ChooseReplica(absl::Span<const ReplicaLoad> replicas,
                                         std::uint64_t random) {
  if (replicas.empty()) return std::nullopt;
  ReplicaStanding best = ReplicaStanding::kSuspect;
  for (const ReplicaLoad& replica : replicas) best = std::min(best, replica.standing);
  absl::InlinedVector<std::size_t, 8> candidates;
  for (std::size_t i = 0; i < replicas.size(); ++i) {
    if (replicas[i].standing == best) candidates.push_back(i);
  }
  const std::size_t count = candidates.size();
  const std::size_t first = random % count;
  // The other one is drawn from those that are left, from the upper half of the bits.
  const std::size_t second =
      count == 1 ? first : (first + 1 + (random >> 32) % (count - 1)) % count;
  const auto rank = [&](std::size_t candidate) {
    const ReplicaLoad& replica = replicas[candidates[candidate]];
    return std::tuple(replica.completion + replica.cost, replica.shard);
  };
  return candidates[rank(second) < rank(first) ? second : first];
}

}  // namespace moesaic::router
