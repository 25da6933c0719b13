#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "base/compute_pool.h"
#include "base/dtype.h"
#include "kernels/packed_matrix.h"
#include "model/weights.h"

namespace moesaic::shard {

/// What decides how weights are held.
struct StorageRule {
  base::DType compute = base::DType::kBF16;
  std::optional<base::DType> weight = std::nullopt;  ///< Overrides the rule below.
};

/// How a weight stored as `stored` is held: bf16 and fp8 as they are, f16 widened to f32, f32 as it
/// is under compute dtype f32 and rounded to bf16 under bf16.
base::DType StorageFor(base::DType stored, const StorageRule& rule);

/// An expert packed for the kernels. The pages of the checkpoint it was read from are released.
struct PackedExpert {
  kernels::PackedMatrix gate_up;  ///< [2 * intermediate, hidden]: gate above up.
  kernels::PackedMatrix down;     ///< [hidden, intermediate]

  std::uint64_t bytes() const { return gate_up.bytes() + down.bytes(); }
};

/// Errors: InvalidArgument for fp8 blocks other than 128 x 128 or gate and up of different types;
/// those of PackedMatrix::Pack.
absl::StatusOr<PackedExpert> PackExpert(const model::Checkpoint& checkpoint,
                                        const model::MlpWeights& weights, const StorageRule& rule,
                                        base::ComputePool* pool);

/// Outputs, inputs and storage of a packed matrix.
struct MatrixShape {
  std::int64_t n = 0;
  std::int64_t k = 0;
  base::DType storage = base::DType::kF32;
  bool coded = false;  ///< As PackedMatrix::coded(): known of a packed matrix alone.
};
struct PackedExpertShape {
  MatrixShape gate_up;
  MatrixShape down;

  std::uint64_t bytes() const;
};

/// What PackExpert(...) has, without reading a weight.
PackedExpertShape ShapeOf(const model::MlpWeights& weights, const StorageRule& rule);

}  // namespace moesaic::shard
