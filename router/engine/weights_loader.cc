#include "router/engine/weights_loader.h"

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "model/weights.h"
#include "router/engine/finite_check.h"

namespace moesaic::router {
namespace {

using base::DType;
using kernels::PackedMatrix;

/// Element i of a checkpoint tensor of any alignment, widened.
float ElementAt(const base::TensorView& tensor, std::int64_t i) {
  const auto* bytes = static_cast<const std::byte*>(tensor.data) + i * DTypeBytes(tensor.dtype);
  if (tensor.dtype == DType::kF32) {
    float value;
    std::memcpy(&value, bytes, sizeof(value));
    return value;
  }
  if (tensor.dtype == DType::kF8E4M3) return base::F8E4M3ToF32(static_cast<std::uint8_t>(*bytes));
  std::uint16_t bits;
  std::memcpy(&bits, bytes, sizeof(bits));
  return tensor.dtype == DType::kBF16 ? base::BF16ToF32(bits) : base::F16ToF32(bits);
}

absl::Span<const std::int64_t> Dims(const base::TensorView& tensor) {
  return {tensor.shape, static_cast<std::size_t>(tensor.rank)};
}

absl::StatusOr<OwnedTensor> Allocate(DType dtype, absl::Span<const std::int64_t> dims) {
  const std::size_t bytes = base::TensorView(nullptr, dtype, dims).bytes();
  OwnedTensor owned;
  MOESAIC_ASSIGN_OR_RETURN(owned.memory, base::Buffer::Allocate(bytes));
  owned.view = owned.memory.View(dtype, dims);
  return owned;
}

/// A copy in the stored element type.
absl::StatusOr<OwnedTensor> Copy(const base::TensorView& tensor) {
  MOESAIC_ASSIGN_OR_RETURN(OwnedTensor owned, Allocate(tensor.dtype, Dims(tensor)));
  std::memcpy(owned.memory.data(), tensor.data, tensor.bytes());
  return owned;
}

/// A copy in f32 or bf16, rounded to nearest even.
absl::StatusOr<OwnedTensor> Convert(const base::TensorView& tensor, DType dtype) {
  MOESAIC_ASSIGN_OR_RETURN(OwnedTensor owned, Allocate(dtype, Dims(tensor)));
  for (std::int64_t i = 0; i < tensor.elements(); ++i) {
    const float value = ElementAt(tensor, i);
    if (dtype == DType::kF32) {
      owned.memory.As<float>()[i] = value;
    } else {
      owned.memory.As<std::uint16_t>()[i] = base::F32ToBF16(value);
    }
  }
  return owned;
}

/// Packs and copies the tensors of one checkpoint, counting the memory it hands out.
class Loader {
 public:
  Loader(const model::Checkpoint& checkpoint, DType compute_dtype,
         std::optional<DType> weight_dtype, base::ComputePool& pool)
      : checkpoint_(checkpoint),
        config_(checkpoint.config()),
        weights_(checkpoint),
        compute_dtype_(compute_dtype),
        weight_dtype_(weight_dtype),
        pool_(pool) {}

  absl::StatusOr<DenseWeights> Load(LoadProgress progress) {
    DenseWeights loaded;
    MOESAIC_ASSIGN_OR_RETURN(const model::Weight embedding, weights_.Embedding());
    MOESAIC_RETURN_IF_ERROR(CheckFinite(embedding, "the embedding"));
    MOESAIC_ASSIGN_OR_RETURN(loaded.embedding, Copy(embedding.tensor));
    checkpoint_.ReleasePages(embedding);
    bytes_ += loaded.embedding.memory.bytes();
    for (int i = 0; i < config_.num_layers; ++i) {
      MOESAIC_ASSIGN_OR_RETURN(DenseLayer layer, Layer(base::LayerId(i)));
      loaded.layers.push_back(std::move(layer));
      progress(i + 1, config_.num_layers);
    }
    MOESAIC_ASSIGN_OR_RETURN(const model::Weight final_norm, weights_.FinalNorm());
    MOESAIC_ASSIGN_OR_RETURN(loaded.final_norm, Vector("the final norm", final_norm));
    MOESAIC_ASSIGN_OR_RETURN(const model::Weight head, weights_.LmHead());
    MOESAIC_ASSIGN_OR_RETURN(loaded.lm_head, Matrix("the head", {head}));
    loaded.bytes = bytes_;
    return loaded;
  }

 private:
  absl::Status CheckFinite(const model::Weight& weight, std::string_view what) {
    if (AllFinite(weight.tensor, pool_) && (!weight.scale || AllFinite(*weight.scale, pool_))) {
      return absl::OkStatus();
    }
    return absl::DataLossError(absl::StrCat(checkpoint_.directory(), ": ", base::ToAbsl(what),
                                            " has an element that is not finite"));
  }

  absl::StatusOr<PackedMatrix> MatrixOf(std::string_view what,
                                        absl::Span<const model::Weight> parts, DType storage) {
    std::vector<kernels::WeightSource> sources;
    for (const model::Weight& part : parts) {
      MOESAIC_RETURN_IF_ERROR(CheckFinite(part, what));
      sources.push_back({.weight = part.tensor, .scale = part.scale});
    }
    MOESAIC_ASSIGN_OR_RETURN(PackedMatrix packed, PackedMatrix::Pack(sources, storage, {}, &pool_));
    for (const model::Weight& part : parts) checkpoint_.ReleasePages(part);
    bytes_ += packed.bytes();
    return packed;
  }

  /// The parts stacked along the outputs.
  absl::StatusOr<PackedMatrix> Matrix(std::string_view what,
                                      std::initializer_list<model::Weight> parts) {
    return MatrixOf(what, parts, weight_dtype_.value_or(PackedStorage(parts, compute_dtype_)));
  }

  /// A small tensor that enters f32 arithmetic, in f32.
  absl::StatusOr<OwnedTensor> Vector(std::string_view what, const model::Weight& weight) {
    MOESAIC_RETURN_IF_ERROR(CheckFinite(weight, what));
    MOESAIC_ASSIGN_OR_RETURN(OwnedTensor owned, Convert(weight.tensor, DType::kF32));
    bytes_ += owned.memory.bytes();
    return owned;
  }

  absl::StatusOr<DenseLayer> Layer(base::LayerId layer) {
    const std::string name = absl::StrCat("layer ", layer.value());
    DenseLayer loaded;
    MOESAIC_ASSIGN_OR_RETURN(const model::LayerNorms norms, weights_.Norms(layer));
    MOESAIC_ASSIGN_OR_RETURN(loaded.attention_norm,
                             Vector(name + ": input_layernorm", norms.attention));
    MOESAIC_ASSIGN_OR_RETURN(loaded.mlp_norm,
                             Vector(name + ": post_attention_layernorm", norms.mlp));
    if (config_.attention.kind == model::AttentionKind::kMla) {
      MOESAIC_ASSIGN_OR_RETURN(loaded.attention, Mla(layer, name + ": attention"));
    } else {
      MOESAIC_ASSIGN_OR_RETURN(loaded.attention, Gqa(layer, name + ": attention"));
    }
    if (config_.IsMoeLayer(layer)) {
      MOESAIC_ASSIGN_OR_RETURN(loaded.gate, Gate(layer, name + ": gate"));
      MOESAIC_ASSIGN_OR_RETURN(const std::optional<model::MlpWeights> shared,
                               weights_.SharedExperts(layer));
      if (shared) {
        MOESAIC_ASSIGN_OR_RETURN(loaded.mlp, Mlp(name + ": shared experts", *shared));
      }
    } else {
      MOESAIC_ASSIGN_OR_RETURN(const model::MlpWeights mlp, weights_.DenseMlp(layer));
      MOESAIC_ASSIGN_OR_RETURN(loaded.mlp, Mlp(name + ": mlp", mlp));
    }
    return loaded;
  }

  absl::StatusOr<GqaWeights> Gqa(base::LayerId layer, std::string_view name) {
    MOESAIC_ASSIGN_OR_RETURN(const model::GqaWeights source, weights_.Gqa(layer));
    GqaWeights loaded;
    MOESAIC_ASSIGN_OR_RETURN(loaded.qkv,
                             Matrix(name, {source.q_proj, source.k_proj, source.v_proj}));
    MOESAIC_ASSIGN_OR_RETURN(loaded.o, Matrix(name, {source.o_proj}));
    if (source.q_norm) {
      MOESAIC_ASSIGN_OR_RETURN(loaded.q_norm, Vector(name, *source.q_norm));
    }
    if (source.k_norm) {
      MOESAIC_ASSIGN_OR_RETURN(loaded.k_norm, Vector(name, *source.k_norm));
    }
    return loaded;
  }

  absl::StatusOr<MlaWeights> Mla(base::LayerId layer, std::string_view name) {
    MOESAIC_ASSIGN_OR_RETURN(const model::MlaWeights source, weights_.Mla(layer));
    MlaWeights loaded;
    if (source.q_proj) {
      MOESAIC_ASSIGN_OR_RETURN(loaded.a, Matrix(name, {*source.q_proj, source.kv_a}));
    } else {
      MOESAIC_ASSIGN_OR_RETURN(loaded.a, Matrix(name, {*source.q_a, source.kv_a}));
      MOESAIC_ASSIGN_OR_RETURN(loaded.q_a_norm, Vector(name, *source.q_a_norm));
      MOESAIC_ASSIGN_OR_RETURN(loaded.q_b, Matrix(name, {*source.q_b}));
    }
    MOESAIC_ASSIGN_OR_RETURN(loaded.kv_a_norm, Vector(name, source.kv_a_norm));
    MOESAIC_RETURN_IF_ERROR(KvB(name, source.kv_b, loaded));
    MOESAIC_ASSIGN_OR_RETURN(loaded.o, Matrix(name, {source.o_proj}));
    return loaded;
  }

  /// kv_b stays row-major: the attention kernel reads it both ways.
  absl::Status KvB(std::string_view name, const model::Weight& source, MlaWeights& loaded) {
    MOESAIC_RETURN_IF_ERROR(CheckFinite(source, name));
    const DType storage = PackedStorage({&source, 1}, compute_dtype_);
    if (source.tensor.dtype == storage) {
      MOESAIC_ASSIGN_OR_RETURN(loaded.kv_b, Copy(source.tensor));
    } else {
      MOESAIC_ASSIGN_OR_RETURN(loaded.kv_b, Convert(source.tensor, storage));
    }
    if (source.scale) {
      MOESAIC_ASSIGN_OR_RETURN(loaded.kv_b_scales, Convert(*source.scale, DType::kF32));
    }
    bytes_ += loaded.kv_b.memory.bytes() + loaded.kv_b_scales.memory.bytes();
    checkpoint_.ReleasePages(source);
    return absl::OkStatus();
  }

  absl::StatusOr<GateWeights> Gate(base::LayerId layer, std::string_view name) {
    MOESAIC_ASSIGN_OR_RETURN(const model::GateWeights source, weights_.Gate(layer));
    GateWeights loaded;
    // Never rounded: the choice of experts hangs on it.
    const DType storage = PackedStorage({source.weight}, DType::kF32);
    MOESAIC_ASSIGN_OR_RETURN(loaded.weight, MatrixOf(name, {source.weight}, storage));
    if (source.correction_bias) {
      MOESAIC_ASSIGN_OR_RETURN(loaded.correction_bias, Vector(name, *source.correction_bias));
    }
    return loaded;
  }

  absl::StatusOr<GatedMlpWeights> Mlp(std::string_view name, const model::MlpWeights& source) {
    GatedMlpWeights loaded;
    MOESAIC_ASSIGN_OR_RETURN(loaded.gate_up, Matrix(name, {source.gate, source.up}));
    MOESAIC_ASSIGN_OR_RETURN(loaded.down, Matrix(name, {source.down}));
    return loaded;
  }

  const model::Checkpoint& checkpoint_;
  const model::ModelConfig& config_;
  const model::WeightMap weights_;
  const DType compute_dtype_;
  const std::optional<DType> weight_dtype_;
  base::ComputePool& pool_;
  std::size_t bytes_ = 0;
};

}  // namespace

DType PackedStorage(absl::Span<const model::Weight> weights, DType compute_dtype) {
  const auto all = [&](DType dtype) {
    return std::all_of(weights.begin(), weights.end(),
                       [dtype](const model::Weight& w) { return w.tensor.dtype == dtype; });
  };
  const bool any_fp8 = std::any_of(weights.begin(), weights.end(), [](const model::Weight& w) {
    return w.tensor.dtype == DType::kF8E4M3;
  });
  if (all(DType::kF8E4M3)) return DType::kF8E4M3;
  if (all(DType::kBF16)) return DType::kBF16;
  // Scaled fp8 beside another type: only f32 holds both as they are.
  return compute_dtype == DType::kBF16 && !any_fp8 ? DType::kBF16 : DType::kF32;
}

absl::StatusOr<DenseWeights> LoadDenseWeights(const model::Checkpoint& checkpoint,
                                              DType compute_dtype,
                                              std::optional<DType> weight_dtype,
                                              base::ComputePool& pool, LoadProgress progress) {
  if (compute_dtype != DType::kF32 && compute_dtype != DType::kBF16) {
    return absl::InvalidArgumentError(absl::StrCat(
        "compute dtype ", base::ToAbsl(DTypeName(compute_dtype)), " is neither f32 nor bf16"));
  }
  if (weight_dtype && *weight_dtype != DType::kI8) {
    return absl::InvalidArgumentError(absl::StrCat(
        "weights cannot be converted to ", base::ToAbsl(DTypeName(*weight_dtype)), ", only to i8"));
  }
  return Loader(checkpoint, compute_dtype, weight_dtype, pool).Load(progress);
}

}  // namespace moesaic::router
