#include "router/dispatch/replica_choice.h"

#include <tuple>

namespace moesaic::router {

std::optional<std::size_t> ChooseReplica(absl::Span<const ReplicaLoad> replicas) {
  const auto rank = [](const ReplicaLoad& replica) {
    return std::tuple(replica.draining, replica.in_flight_rows, replica.shard);
  };
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < replicas.size(); ++i) {
    if (!best || rank(replicas[i]) < rank(replicas[*best])) best = i;
  }
  return best;
}

}  // namespace moesaic::router
