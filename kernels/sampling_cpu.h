#pragma once

#include "absl/types/span.h"

namespace moesaic::kernels {

/// p_i = Exp((p_i - max) / temperature), in place. -inf becomes 0.
void ExpShifted(absl::Span<float> p, float max, float temperature);

}  // namespace moesaic::kernels
