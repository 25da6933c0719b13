#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "router/dispatch/expert_call_state.h"
#include "router/dispatch/shard_link.h"
#include "rpc/buffer_pool.h"
#include "rpc/dispatch_message.h"

namespace moesaic::router {

/// One message to a shard, and what is awaited from it. Immutable once planned.
struct InFlightDispatch {
  std::uint64_t id = 0;
  std::shared_ptr<ExpertCallState> call;
  std::shared_ptr<ShardLink> link;
  rpc::Lane lane = rpc::Lane::kDecode;
  std::vector<std::int32_t> tokens;  ///< Row r of the message is this token of the call; ascending.
  std::vector<std::int32_t> slots;   ///< Asked for, ascending.
  std::size_t bytes = 0;             ///< Of the message, from above.
  absl::Duration sent_at;            ///< Monotonic.
  absl::Duration cost;               ///< Predicted computing time.
  absl::Duration patience;           ///< Predicted time after which somebody else is to be asked.
  std::uint64_t session = 0;         ///< Of the stream it was sent on.
  bool hedge = false;                ///< Sent beside a dispatch that is late.
  bool retry = false;                ///< Some of it had been sent before, in vain.
};

/// Cuts slots of one call bound for one shard and lane into messages of at most 1 MiB, each row
/// once per message with all its experts. slots: ascending. Ids and links are left to the caller.
std::vector<InFlightDispatch> CutIntoMessages(const ExpertCallState& call,
                                              absl::Span<const std::int32_t> slots,
                                              rpc::WireDtype dtype);

/// What the shard's time for it depends on: its assignments and its distinct experts.
ShardWork WorkOf(const InFlightDispatch& plan);

/// Sends a planned dispatch, its rows converted into a block of `pool`. `now` becomes the remaining
/// time: up to the latest deadline among the rows. Errors: those of DispatchClient::Send.
absl::Status SendPlanned(const InFlightDispatch& plan, base::PlacementEpoch epoch,
                         rpc::WireDtype dtype, absl::Duration now, rpc::BufferPool& pool);

}  // namespace moesaic::router
