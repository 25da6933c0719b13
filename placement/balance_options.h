#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

namespace moesaic::placement {

/// When PlaceByPredictedTime changes what need not change. The defaults suit experts of a few dozen
/// megabytes read from a local disk or a page cache.
struct BalanceOptions {
  /// Units move for speed only when the whole plan shortens a step, or the work of the busiest
  /// shard, by this share. Above what loads that each vary by 10 % make of an even placement.
  double min_gain = 0.1;
  /// Or when it shortens a layer by this share: one expert suddenly hot is little of a step.
  double min_layer_gain = 0.25;
  /// Each unit loaded must shorten its layer by this share in the mean, or it is not worth its
  /// memory. Small: 1,024 shards need hundreds of replicas of a layer, which together gain a third.
  double min_unit_gain = 0.0002;
  /// How fast a shard loads units while it serves; a disk's or 10 GbE's rate, shared with serving.
  double move_bytes_per_s = 200e6;
  /// Loads are expected to stay as they are for this long: the time a plan saves until then must
  /// exceed the time its moves take.
  double horizon_s = 600;
  /// Share of a shard's memory that replicas beyond the wanted ones leave free, one unit at least:
  /// make before break needs room to move.
  double spare_share = 0.02;
  /// Replicas beyond the wanted ones, of all units together.
  std::uint64_t max_extra_replicas = std::numeric_limits<std::uint64_t>::max();
  /// Lines of explanation; what is beyond is counted.
  std::size_t max_reasons = 64;
};

}  // namespace moesaic::placement
