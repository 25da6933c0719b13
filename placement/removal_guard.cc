#include "placement/removal_guard.h"

#include <algorithm>

#include "base/log.h"

namespace moesaic::placement {
namespace {

/// Ticks come every few dozen milliseconds; a busy machine delays one by less than this.
constexpr absl::Duration kMinPause = absl::Seconds(2);
/// A pause shorter than this part of a lease ends no lease.
constexpr double kPauseOfLease = 0.25;

}  // namespace

bool RemovalGuard::Tick(absl::Duration now) {
  const absl::Duration since = now - last_tick_;
  last_tick_ = now;
  if (since < std::max(kMinPause, kPauseOfLease * lease_)) return false;
  base::LogWarning("nothing was done for ", absl::FormatDuration(since),
                   ": no replica is removed for a lease");
  calm_until_ = now + lease_;
  return true;
}

bool RemovalGuard::Freeze(std::uint32_t silent, std::uint32_t present) {
  const bool was_frozen = frozen_;
  // One shard is always believed: in a cluster of two, half is one machine.
  frozen_ = silent > 1 && 3 * silent > present;
  if (frozen_ && !was_frozen) {
    base::LogError(silent, " of ", present,
                   " leases are over at once: no replica is removed until shards are heard again");
  } else if (was_frozen && !frozen_) {
    base::LogInfo("enough shards are heard again: replicas may be removed");
  }
  return frozen_;
}

}  // namespace moesaic::placement
