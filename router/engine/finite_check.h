#pragma once

#include "base/compute_pool.h"
#include "base/tensor.h"

namespace moesaic::router {

/// Whether no element of a host tensor (f32, bf16, f16 or fp8, any alignment) is NaN or infinite.
bool AllFinite(const base::TensorView& tensor, base::ComputePool& pool);

}  // namespace moesaic::router
