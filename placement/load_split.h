#pragma once

#include "absl/types/span.h"

namespace moesaic::placement {

/// What a replica's shard takes for a share f of the unit's rows:
///   us(f) = row_us * f + min(touch_us, touch_us_per_share * f)
/// A replica that gets few rows touches an expert only in the calls that have one for it; one that
/// gets many touches its experts in every call, however many other replicas do so too.
struct ReplicaCost {
  double row_us = 0;              ///< For all rows; above 0 where the unit has any.
  double touch_us = 0;            ///< When all of the unit's experts are touched that ever are.
  double touch_us_per_share = 0;  ///< When every row touched an expert of its own; >= touch_us.

  double Us(double share) const;
  /// The share that takes so long; may exceed 1.
  double ShareWithin(double us) const;
};

/// A replica as a place for rows: what its shard does beside them, and what they would cost.
struct ReplicaBid {
  double others_us = 0;
  ReplicaCost cost;
};

/// The time at which all replicas that are used complete when rows go where they complete first:
/// t with sum over bids of ShareWithin(t - others_us) = 1. 0 for a unit without rows.
double CompletionUs(absl::Span<const ReplicaBid> bids);

}  // namespace moesaic::placement
