#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/ids.h"
#include "placement/view/router_load.h"
#include "placement/view/topology.h"
#include "proto/moesaic/v1/coordinator.pb.h"

namespace moesaic::placement {

/// What a router had shards compute in a window of time. Plain value.
struct LoadReport {
  /// A unit that was used.
  struct Unit {
    std::uint32_t number = 0;   ///< Units are numbered through, layer by layer.
    std::uint32_t rows = 0;     ///< (Row, expert) assignments.
    std::uint32_t experts = 0;  ///< Distinct experts touched, summed over calls.
    bool operator==(const Unit&) const = default;
  };
  /// A shard that answered; sums over its answers.
  struct Shard {
    base::ShardId id;
    std::uint64_t dispatches = 0;
    std::uint64_t rows = 0;  ///< Rows sent.
    absl::Duration round_trip;
    absl::Duration queue_wait;
    absl::Duration compute;
    bool operator==(const Shard&) const = default;
  };

  absl::Duration window;
  std::uint64_t calls = 0;    ///< Expert calls (a layer of a step each) begun.
  std::vector<Unit> units;    ///< Ascending; those not used are left out.
  std::vector<Shard> shards;  ///< Ascending.
  RouterLoad router;          ///< How the router itself was doing.

  bool operator==(const LoadReport&) const = default;
};

/// Errors: InvalidArgument for lists of different lengths, units out of order or beyond `topology`.
absl::StatusOr<LoadReport> LoadReportFromProto(const v1::LoadReport& proto,
                                               const ExpertTopology& topology);
v1::LoadReport LoadReportToProto(const LoadReport& report);

}  // namespace moesaic::placement
