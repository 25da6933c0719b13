#pragma once

#include <cstddef>
#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "base/compute_pool.h"
#include "base/dtype.h"
#include "model/checkpoint.h"
#include "router/engine/dense_weights.h"

namespace moesaic::router {

/// Called after each layer with the number of those loaded and of all.
using LoadProgress = absl::FunctionRef<void(int layers_loaded, int layers)>;

/// Loads and packs a router's weights. Storage: fp8 stays fp8; otherwise bf16 under compute type
/// bf16; under f32, bf16 stays bf16 (widening is exact) and the rest becomes f32. Norms, gate and
/// correction bias are never rounded. With weight type kI8 the matrices of LinearArgs are quantised
/// instead, but for the gate; embedding and kv_b, which are read otherwise, stay as they were.
/// Errors: those of model::WeightMap; DataLoss naming the place of an element that is not finite;
/// ResourceExhausted.
absl::StatusOr<DenseWeights> LoadDenseWeights(const model::Checkpoint& checkpoint,
                                              base::DType compute_dtype,
                                              std::optional<base::DType> weight_dtype,
                                              base::ComputePool& pool, LoadProgress progress);

/// The storage of a matrix packed from `weights`, by the rule above without a weight type.
base::DType PackedStorage(absl::Span<const model::Weight> weights, base::DType compute_dtype);

}  // namespace moesaic::router
