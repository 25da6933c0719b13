#pragma once

#include <cstdint>

#include "absl/types/span.h"
#include "router/engine/expert_backend.h"

namespace moesaic::router {

/// Makes up for slots that nobody computed, before they are combined: sets them to zero, and
/// multiplies the other slots of their tokens by (sum of the gate weights of all experts of the
/// token) / (sum of those of the experts that answered), so that these share the whole weight.
/// Where none answered, or their weights are too small to be divided by, all slots of the token
/// become zero. Sums over ascending experts and products in f32. Other tokens' slots are not
/// touched. skipped: ascending slots of `call`, which has been computed otherwise; units of
/// `unit_size`.
void RenormalizeSkipped(const ExpertCall& call, int unit_size,
                        absl::Span<const std::int32_t> skipped);

/// The token (row number) of a slot. Requires: slot < slot_offsets.back().
std::int32_t TokenOfSlot(absl::Span<const std::int32_t> slot_offsets, std::int32_t slot);

}  // namespace moesaic::router
