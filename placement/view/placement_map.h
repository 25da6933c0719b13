#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/ids.h"
#include "monitoring/node_share.h"
#include "placement/view/topology.h"
#include "proto/moesaic/v1/coordinator.pb.h"

namespace moesaic::placement {

/// A shard as a placement names it. Immutable value.
struct ShardInfo {
  base::ShardId id;
  std::string name;     ///< Stable over restarts of the process.
  std::string address;  ///< host:port of its ExpertShard service.
  std::string node;
  std::string zone;
  std::uint64_t incarnation = 0;  ///< Differs each time the process starts.
  double us_per_row = 0;          ///< 0 = not measured.
  double us_per_expert = 0;       ///< 0 = not measured.
  bool draining = false;  ///< Finishes what it has; give it nothing where there is a choice.
  monitoring::NodeShare node_share = {};

  bool operator==(const ShardInfo&) const = default;
};

v1::PlacedShard ShardToProto(const ShardInfo& shard);

/// Which shards hold which unit, at one epoch. Complete for every unit of every MoE layer; a unit
/// without a live holder has none. Immutable: share it as shared_ptr<const PlacementMap>.
class PlacementMap {
 public:
  /// What a map is made of, not yet checked.
  struct Parts {
    base::PlacementEpoch epoch;
    ModelIdentity model;
    ExpertTopology topology;
    std::vector<ShardInfo> shards;                    ///< Ascending by id.
    std::vector<std::vector<base::ShardId>> holders;  ///< [topology.units_total()], each ascending.
    std::uint32_t replicas_wanted = 1;
  };

  /// Errors: InvalidArgument for shards out of order, duplicate or without an address, a holder
  /// list of the wrong length, and a holder that is unknown or out of order.
  static absl::StatusOr<std::shared_ptr<const PlacementMap>> Build(Parts parts);
  /// Errors: InvalidArgument naming what is wrong, also for unknown, duplicate or missing units.
  static absl::StatusOr<std::shared_ptr<const PlacementMap>> FromProto(const v1::Placement& proto);
  v1::Placement ToProto() const;

  base::PlacementEpoch epoch() const { return parts_.epoch; }
  const ModelIdentity& model() const { return parts_.model; }
  const ExpertTopology& topology() const { return parts_.topology; }
  std::uint32_t replicas_wanted() const { return parts_.replicas_wanted; }

  /// Shards that can compute the unit, ascending; empty when nobody can, or it does not exist.
  absl::Span<const base::ShardId> Holders(base::LayerId layer, base::UnitId unit) const;
  /// All shards, ascending by id.
  absl::Span<const ShardInfo> shards() const { return parts_.shards; }
  /// nullptr when this placement does not name the shard. Lives as long as the map.
  const ShardInfo* FindShard(base::ShardId id) const;
  /// Units nobody holds.
  std::uint32_t units_uncovered() const { return units_uncovered_; }
  /// Whether a map built from `parts` would differ from this one in nothing but the epoch.
  bool SameContent(const Parts& parts) const;

 private:
  explicit PlacementMap(Parts parts);

  const Parts parts_;
  std::vector<base::ShardId> holders_;  // of all units, one after the other
  std::vector<std::uint32_t> offsets_;  // [units_total + 1] into holders_
  std::uint32_t units_uncovered_ = 0;
};

}  // namespace moesaic::placement
