#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "placement/assignment.h"
#include "placement/shortfall.h"

namespace moesaic::placement {

/// Answers, for one unit at a time and in constant time per shard, where another replica of it
/// would be apart from the others. Single-thread; looks at its last Look only.
class SpreadRule {
 public:
  /// domains: borrowed. replicas: wanted of each unit; those beyond may be anywhere.
  SpreadRule(const FailureDomains& domains, std::uint32_t replicas);

  /// From now on about a unit with these replicas, of which the one on `moving` is to go away.
  void Look(const Assignment::Replicas& replicas, std::optional<std::uint32_t> moving = {});

  /// Whether the unit is on as many nodes and in as many zones as it should have replicas, those
  /// that it has at least.
  bool Satisfied() const { return satisfied_; }
  bool Holds(std::uint32_t shard) const { return shard_mark_[shard] == mark_; }
  /// 0 = apart from all others; 1 = in a zone with one; 2 = on a node with one; 3 = both.
  int Conflict(std::uint32_t shard) const {
    return (node_mark_[domains_.node[shard]] == mark_ ? 2 : 0) + (ZoneTaken(shard) ? 1 : 0);
  }
  /// Whether the moving replica may go there without the unit losing a node or a zone it needs.
  bool MayMoveTo(std::uint32_t shard) const {
    return !Holds(shard) &&
           nodes_without_ + (node_mark_[domains_.node[shard]] != mark_) >= nodes_needed_ &&
           zones_without_ + !ZoneTaken(shard) >= zones_needed_;
  }
  /// Whether it may go away altogether on the same condition.
  bool MayDrop() const {
    return nodes_without_ >= nodes_needed_ && zones_without_ >= zones_needed_;
  }

 private:
  bool ZoneTaken(std::uint32_t shard) const {
    const std::uint32_t zone = domains_.zone[shard];
    return zone != FailureDomains::kUnknownZone && zone_mark_[zone] == mark_;
  }

  const FailureDomains& domains_;
  const std::uint32_t replicas_;
  std::uint32_t mark_ = 0;
  std::vector<std::uint32_t> shard_mark_, node_mark_, zone_mark_;  // == mark_: taken
  std::uint32_t nodes_without_ = 0, zones_without_ = 0;
  std::uint32_t nodes_needed_ = 0, zones_needed_ = 0;
  bool satisfied_ = true;
};

}  // namespace moesaic::placement
