#include "router/dispatch/shard_link.h"

namespace moesaic::router {

ReplicaStanding ShardLink::Standing(const placement::UnitKey& unit, absl::Duration now) const {
  const auto lacking = lacks.find(unit);
  if (lacking != lacks.end() && lacking->second > now) return ReplicaStanding::kSuspect;
  // A suspect that owes nothing gets one dispatch, as a probe: its answer takes it back.
  const bool owes = streams[0].unanswered > 0 || streams[1].unanswered > 0;
  if (suspect && owes) return ReplicaStanding::kSuspect;
  return info.draining ? ReplicaStanding::kDraining : ReplicaStanding::kGood;
}

absl::Duration ShardLink::Wait(rpc::Lane lane, absl::Duration now) const {
  const absl::Duration ahead = stream(rpc::Lane::kDecode).backlog;
  const absl::Duration behind =
      lane == rpc::Lane::kPrefill ? stream(lane).backlog : absl::ZeroDuration();
  return estimate.Overhead(lane, now) + ahead + behind;
}

ShardDispatchStats ShardLink::Stats() const {
  ShardDispatchStats stats = counters;
  stats.id = info.id;
  stats.name = info.name;
  stats.address = info.address;
  stats.decode_connected = stream(rpc::Lane::kDecode).connected;
  stats.prefill_connected = stream(rpc::Lane::kPrefill).connected;
  stats.suspect = suspect;
  stats.in_flight_rows = streams[0].in_flight_rows + streams[1].in_flight_rows;
  for (const LaneStream& s : streams) {
    if (!s.connected && s.client != nullptr) stats.last_error.Update(s.client->last_error());
  }
  return stats;
}

}  // namespace moesaic::router
