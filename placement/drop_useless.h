#pragma once

#include <cstddef>

#include "placement/placement_plan.h"

namespace moesaic::placement {

/// Drops replicas beyond the wanted number without which no layer takes longer, the least used
/// first, so that their memory is free at once. Returns how many.
std::size_t DropUseless(PlacementPlan& plan);

}  // namespace moesaic::placement
