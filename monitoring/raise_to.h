#pragma once

#include <algorithm>

#include "monitoring/registry.h"

namespace moesaic::monitoring {

/// Brings a counter up to a total that is kept elsewhere, never down. One caller at a time, as
/// those of Registry::OnScrape are.
inline void RaiseTo(double total, Counter counter) {
  counter.Increment(std::max(0.0, total - counter.Value()));
}

}  // namespace moesaic::monitoring
