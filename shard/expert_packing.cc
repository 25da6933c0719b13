#include "shard/expert_packing.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"

namespace moesaic::shard {
namespace {

using kernels::PackedMatrix;

absl::StatusOr<kernels::WeightSource> Source(const model::Weight& weight) {
  if (weight.scale && (weight.block_rows != PackedMatrix::kScaleBlock ||
                       weight.block_cols != PackedMatrix::kScaleBlock)) {
    return absl::InvalidArgumentError(absl::StrCat("fp8 blocks of ", weight.block_rows, " x ",
                                                   weight.block_cols,
                                                   "; the kernels know 128 x 128"));
  }
  return kernels::WeightSource{.weight = weight.tensor, .scale = weight.scale};
}

}  // namespace

base::DType StorageFor(base::DType stored, const StorageRule& rule) {
  if (rule.weight) return *rule.weight;
  switch (stored) {
    case base::DType::kBF16:
    case base::DType::kF8E4M3:
      return stored;
    case base::DType::kF32:
      return rule.compute;
    default:
      return base::DType::kF32;
  }
}

absl::StatusOr<PackedExpert> PackExpert(const model::Checkpoint& checkpoint,
                                        const model::MlpWeights& weights, const StorageRule& rule,
                                        base::ComputePool* pool) {
  if (weights.gate.tensor.dtype != weights.up.tensor.dtype) {
    return absl::InvalidArgumentError(absl::StrCat(
        "an expert's gate is ", base::ToAbsl(base::DTypeName(weights.gate.tensor.dtype)),
        ", its up ", base::ToAbsl(base::DTypeName(weights.up.tensor.dtype))));
  }
  // Read, not mapped: a shard loads while it serves, and must survive a disk that fails.
  MOESAIC_ASSIGN_OR_RETURN(const model::LoadedWeight read_gate, checkpoint.Load(weights.gate));
  MOESAIC_ASSIGN_OR_RETURN(const model::LoadedWeight read_up, checkpoint.Load(weights.up));
  MOESAIC_ASSIGN_OR_RETURN(const model::LoadedWeight read_down, checkpoint.Load(weights.down));
  MOESAIC_ASSIGN_OR_RETURN(const kernels::WeightSource gate, Source(read_gate.weight));
  MOESAIC_ASSIGN_OR_RETURN(const kernels::WeightSource up, Source(read_up.weight));
  MOESAIC_ASSIGN_OR_RETURN(const kernels::WeightSource down, Source(read_down.weight));
  PackedExpert packed;
  MOESAIC_ASSIGN_OR_RETURN(
      packed.gate_up,
      PackedMatrix::Pack(std::array{gate, up}, StorageFor(gate.weight.dtype, rule), {}, pool));
  MOESAIC_ASSIGN_OR_RETURN(
      packed.down,
      PackedMatrix::Pack(std::array{down}, StorageFor(down.weight.dtype, rule), {}, pool));
  return packed;
}

std::uint64_t PackedExpertShape::bytes() const {
  return PackedMatrix::BytesOf(gate_up.n, gate_up.k, gate_up.storage) +
         PackedMatrix::BytesOf(down.n, down.k, down.storage);
}

PackedExpertShape ShapeOf(const model::MlpWeights& weights, const StorageRule& rule) {
  const std::int64_t inter = weights.gate.tensor.dim(0);
  const std::int64_t hidden = weights.gate.tensor.dim(1);
  return {.gate_up = {2 * inter, hidden, StorageFor(weights.gate.tensor.dtype, rule)},
          .down = {hidden, inter, StorageFor(weights.down.tensor.dtype, rule)}};
}

}  // namespace moesaic::shard
