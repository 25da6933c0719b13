#include "router/dispatch/shard_link.h"

namespace moesaic::router {

ShardDispatchStats ShardLink::Stats() const {
  ShardDispatchStats stats = counters;
  stats.id = info.id;
  stats.name = info.name;
  stats.address = info.address;
  stats.decode_connected = stream(rpc::Lane::kDecode).connected;
  stats.prefill_connected = stream(rpc::Lane::kPrefill).connected;
  for (const LaneStream& s : streams) {
    if (!s.connected && s.client != nullptr) stats.last_error.Update(s.client->last_error());
  }
  return stats;
}

}  // namespace moesaic::router
