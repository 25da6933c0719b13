#pragma once

#include <array>
#include <cstdint>

#include "absl/time/time.h"
#include "placement/view/placement_map.h"
#include "router/dispatch/latency_quantile.h"
#include "rpc/dispatch_message.h"

namespace moesaic::router {

/// Work for a shard, in what its time depends on.
struct ShardWork {
  std::uint32_t rows = 0;     ///< Assignments (row, expert).
  std::uint32_t experts = 0;  ///< Distinct experts among them not touched by earlier work.
};

/// What a router expects of one shard, learned from its replies. All smoothing is exponential and
/// takes constant memory. Times are monotonic and passed in. Thread-compatible.
class ShardEstimate {
 public:
  /// One answered dispatch, as the router saw it and the shard reports it.
  struct Answer {
    rpc::Lane lane = rpc::Lane::kDecode;
    std::uint32_t rows = 0;  ///< Result rows asked for: decides the class of batch size.
    absl::Duration round_trip;
    absl::Duration queue_wait;
    absl::Duration compute;
    std::uint32_t batch_rows = 0;
    std::uint32_t ns_per_row = 0;     ///< 0 = the shard does not say.
    std::uint32_t ns_per_expert = 0;  ///< 0 = the shard does not say.
  };

  void OnAnswer(const Answer& answer, absl::Duration now);
  /// A dispatch that was given up after `waited`: its time is known to be at least that.
  void OnAbandoned(rpc::Lane lane, std::uint32_t rows, absl::Duration waited);

  /// Computing time of `work` alone. What the replies say rules; before the first one, what the
  /// placement says of the shard; before both, a guess that only counts rows.
  absl::Duration Cost(const ShardWork& work, const placement::ShardInfo& info) const;
  /// Time until work sent now on `lane` would be answered, beside its own cost and that of what
  /// this router has in flight there: the way, and what other routers have queued.
  absl::Duration Overhead(rpc::Lane lane, absl::Duration now) const;
  /// When to ask somebody else too: the 99th percentile of recent answers on this lane to so many
  /// rows. Before there are enough, a multiple of `predicted`. Within [1 ms, 2 s].
  absl::Duration HedgeAfter(rpc::Lane lane, std::uint32_t rows, absl::Duration predicted) const;

 private:
  /// Classes of batch size: [2^k, 2^(k+1)) rows, the last one open.
  static constexpr int kSizes = 11;
  struct LaneEstimate {
    std::array<LatencyQuantile, kSizes> round_trips;
    double queue_wait_us = 0;
    double way_us = 0;  // there and back
    absl::Duration heard;
  };
  static int SizeClass(std::uint32_t rows);
  LaneEstimate& lane(rpc::Lane lane) { return lanes_[lane == rpc::Lane::kDecode ? 0 : 1]; }
  const LaneEstimate& lane(rpc::Lane lane) const {
    return lanes_[lane == rpc::Lane::kDecode ? 0 : 1];
  }

  std::array<LaneEstimate, 2> lanes_;
  double us_per_row_ = 0;
  double us_per_expert_ = 0;
};

}  // namespace moesaic::router
