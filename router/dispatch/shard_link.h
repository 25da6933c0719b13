#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "placement/view/placement_map.h"
#include "router/dispatch/dispatch_stats.h"
#include "rpc/dispatch_client.h"

namespace moesaic::router {

/// The lanes of a link, in the order of LaneIndex.
inline constexpr std::array kLanes = {rpc::Lane::kDecode, rpc::Lane::kPrefill};
inline std::size_t LaneIndex(rpc::Lane lane) { return lane == rpc::Lane::kDecode ? 0 : 1; }

/// A router's two streams to one shard. Guarded by the dispatcher's lock, except for `client`,
/// which is set before the link is published, and is thread-safe.
struct ShardLink {
  struct LaneStream {
    std::shared_ptr<rpc::DispatchClient> client;
    std::unique_ptr<rpc::DispatchClientHandler> handler;  // outlives the client's callbacks
    bool connected = false;
    std::uint64_t credit_bytes = 0;     // 0 = the shard states no limit
    std::uint64_t in_flight_bytes = 0;  // of undone dispatches
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
  bool connected() const { return streams[0].connected && streams[1].connected; }
  ShardDispatchStats Stats() const;

  placement::ShardInfo info;
  std::array<LaneStream, 2> streams;
  ShardDispatchStats counters;  // only the counting fields
};

}  // namespace moesaic::router
