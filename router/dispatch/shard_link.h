#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "monitoring/registry.h"
#include "placement/view/placement_map.h"
#include "router/dispatch/dispatch_stats.h"
#include "router/dispatch/flow_limit.h"
#include "router/dispatch/replica_choice.h"
#include "router/dispatch/shard_estimate.h"
#include "rpc/dispatch_client.h"

namespace moesaic::router {

/// The lanes of a link, in the order of LaneIndex.
inline constexpr std::array kLanes = {rpc::Lane::kDecode, rpc::Lane::kPrefill};
inline std::size_t LaneIndex(rpc::Lane lane) { return lane == rpc::Lane::kDecode ? 0 : 1; }

/// A router's two streams to one shard, and what it knows of the shard. Guarded by the dispatcher's
/// lock, except for `client`, which is set before the link is published, and is thread-safe.
struct ShardLink {
  struct LaneStream {
    std::shared_ptr<rpc::DispatchClient> client;
    std::unique_ptr<rpc::DispatchClientHandler> handler;  // outlives the client's callbacks
    bool connected = false;
    std::uint64_t session = 0;          // counts the connections
    std::uint64_t unanswered = 0;       // messages of this session without a last reply
    std::uint64_t credit_bytes = 0;     // 0 = the shard states no limit
    std::uint64_t in_flight_bytes = 0;  // of undone dispatches
    std::uint64_t in_flight_rows = 0;   // result rows awaited
    absl::Duration backlog;             // predicted cost of what is in flight
    FlowLimit limit;

    /// A dispatch of `session` has been answered to its end.
    void CountAnswered(std::uint64_t of_session) {
      if (of_session == session && unanswered > 0) --unanswered;
    }
  };

  explicit ShardLink(placement::ShardInfo shard) : info(std::move(shard)) {}

  LaneStream& stream(rpc::Lane lane) { return streams[LaneIndex(lane)]; }
  const LaneStream& stream(rpc::Lane lane) const { return streams[LaneIndex(lane)]; }
  /// Whether a dispatch of `bytes` may be sent now. A stream with nothing in flight takes any, or a
  /// credit smaller than one message would block it for ever.
  bool CanSend(rpc::Lane lane, std::size_t bytes) const {
    const LaneStream& s = stream(lane);
    return s.connected && (s.credit_bytes == 0 || s.in_flight_bytes == 0 ||
                           s.in_flight_bytes + bytes <= s.credit_bytes);
  }
  /// Whether one more row keeps within the flow limit.
  bool HasRoom(rpc::Lane lane) const {
    return stream(lane).in_flight_rows < stream(lane).limit.limit();
  }
  bool connected() const { return streams[0].connected && streams[1].connected; }

  /// How it stands for new work of that unit.
  ReplicaStanding Standing(const placement::UnitKey& unit, absl::Duration now) const;
  /// Any reply shows that the shard is alive.
  void NoteAnswer(absl::Duration now) {
    heard_at = now;
    suspect = false;
  }
  /// Time until work of `cost` sent now would be answered, without that cost. Decode rows pass
  /// waiting prefill rows; prefill rows wait for both.
  absl::Duration Wait(rpc::Lane lane, absl::Duration now) const;

  ShardDispatchStats Stats() const;

  placement::ShardInfo info;
  std::optional<monitoring::Histogram> duration;  // of answered dispatches
  std::optional<double> price_per_second;  // of the shard's part of its node; nullopt = unknown
  std::array<LaneStream, 2> streams;
  ShardEstimate estimate;
  bool suspect = false;
  absl::Duration heard_at;  // when it last connected or replied
  /// Until when the shard is not believed to hold units that it said it lacks.
  absl::flat_hash_map<placement::UnitKey, absl::Duration> lacks;
  /// Units it has been found to hold beside those of the placement, while that is out of date.
  absl::flat_hash_set<placement::UnitKey> found;
  ShardDispatchStats counters;  // only the counting fields
};

}  // namespace moesaic::router
