#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/ids.h"

namespace moesaic::placement {

/// Which shard is to hold which units: the placement that is being brought about. Both directions
/// are kept together. Single-thread.
class WantedPlacement {
 public:
  /// Nothing is assigned; there are so many units.
  void Reset(std::uint32_t units);
  /// Replaces what `shard` is to hold. units: ascending, below Reset's.
  void Set(base::ShardId shard, std::vector<std::uint32_t> units);
  void Add(base::ShardId shard, std::uint32_t unit);
  void Remove(base::ShardId shard, std::uint32_t unit);

  /// Ascending; empty when it is to hold nothing.
  const std::vector<std::uint32_t>& UnitsOf(base::ShardId shard) const;
  /// Ascending.
  const std::vector<base::ShardId>& HoldersOf(std::uint32_t unit) const { return holders_[unit]; }
  std::uint32_t units() const { return static_cast<std::uint32_t>(holders_.size()); }

 private:
  std::map<base::ShardId, std::vector<std::uint32_t>> units_;
  std::vector<std::vector<base::ShardId>> holders_;  // [units]
};

}  // namespace moesaic::placement
