#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace moesaic::placement {

/// Decides when a coordinator must not take replicas away, because what it believes of the cluster
/// may say more of itself: in the first lease after it started or woke from a pause, and while so
/// many leases are over at once that its own network is the likelier cause. Loads go on meanwhile.
/// Pure: time is passed in. Single-thread.
class RemovalGuard {
 public:
  RemovalGuard(absl::Duration lease, absl::Duration now)
      : lease_(lease), last_tick_(now), calm_until_(now + lease) {}

  /// To be called often. True when so much time has passed since the last call that the process
  /// must have been paused: then the silence of others is not their fault.
  bool Tick(absl::Duration now);
  /// `silent` of `present` members have been silent for a lease. True when that is too many to be
  /// believed: none of them is to be expired.
  bool Freeze(std::uint32_t silent, std::uint32_t present);

  bool frozen() const { return frozen_; }
  /// Whether replicas may be taken away, as of the last Tick.
  bool MayRemove() const { return !frozen_ && last_tick_ >= calm_until_; }

 private:
  const absl::Duration lease_;
  absl::Duration last_tick_;
  absl::Duration calm_until_;
  bool frozen_ = false;
};

}  // namespace moesaic::placement
