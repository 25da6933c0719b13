#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace moesaic::placement {

/// Divides every shard's memory evenly among the layers, so that a layer placed late finds as much
/// room as one placed early. fits: [shards] units that fit. Returns [layers][shards] units, whose
/// sum over layers is `fits`; the values of a shard, and the sums of the layers, differ by at most
/// one. Pure.
std::vector<std::vector<std::uint32_t>> LayerQuotas(absl::Span<const std::uint32_t> fits,
                                                    std::uint32_t layers);

}  // namespace moesaic::placement
