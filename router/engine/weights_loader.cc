#include "router/engine/weights_loader.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "model/weights.h"

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
  Loader(const model::Checkpoint& checkpoint, DType compute_dtype, base::ComputePool& pool)
      : checkpoint_(checkpoint),
        config_(checkpoint.config()),
        weights_(checkpoint),
        compute_dtype_(compute_dtype),
        pool_(pool) {}

  absl::StatusOr<DenseWeights> Load(LoadProgress progress) {
    DenseWeights loaded;
    MOESAIC_ASSIGN_OR_RETURN(const model::Weight embedding, weights_.Embedding());
    MOESAIC_ASSIGN_OR_RETURN(loaded.embedding, Copy(embedding.tensor));
    bytes_ += loaded.embedding.memory.bytes();
    for (int i = 0; i < config_.num_layers; ++i) {
      MOESAIC_ASSIGN_OR_RETURN(DenseLayer layer, Layer(base::LayerId(i)));
      loaded.layers.push_back(std::move(layer));
      progress(i + 1, config_.num_layers);
    }
    MOESAIC_ASSIGN_OR_RETURN(const model::Weight final_norm, weights_.FinalNorm());
    MOESAIC_ASSIGN_OR_RETURN(loaded.final_norm, Vector(final_norm, "the final norm"));
    MOESAIC_ASSIGN_OR_RETURN(const model::Weight head, weights_.LmHead());
    MOESAIC_ASSIGN_OR_RETURN(loaded.lm_head, Matrix({head}));
    loaded.bytes = bytes_;
    return loaded;
  }

 private:
  absl::StatusOr<PackedMatrix> MatrixOf(absl::Span<const model::Weight> parts, DType storage) {
    std::vector<kernels::WeightSource> sources;
    for (const model::Weight& part : parts) {
      sources.push_back({.weight = part.tensor, .scale = part.scale});
    }
    MOESAIC_ASSIGN_OR_RETURN(PackedMatrix packed, PackedMatrix::Pack(sources, storage, {}, &pool_));
    for (const model::Weight& part : parts) checkpoint_.ReleasePages(part);
    bytes_ += packed.bytes();
    return packed;
  }

  /// The parts stacked along the outputs.
  absl::StatusOr<PackedMatrix> Matrix(std::initializer_list<model::Weight> parts) {
    return MatrixOf(parts, PackedStorage(parts, compute_dtype_));
  }

  /// A small tensor that enters f32 arithmetic, in f32.
  absl::StatusOr<OwnedTensor> Vector(const model::Weight& weight, std::string_view what) {
    MOESAIC_ASSIGN_OR_RETURN(OwnedTensor owned, Convert(weight.tensor, DType::kF32));
    const absl::Span<const float> values(owned.memory.As<float>(), owned.view.elements());
    if (!std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); })) {
      return absl::DataLossError(absl::StrCat(checkpoint_.directory(), ": ", base::ToAbsl(what),
                                              " has an element that is not finite"));
    }
    bytes_ += owned.memory.bytes();
    return owned;
  }

  absl::StatusOr<DenseLayer> Layer(base::LayerId layer) {
    const std::string name = absl::StrCat("layer ", layer.value(), ": a norm");
    DenseLayer loaded;
    MOESAIC_ASSIGN_OR_RETURN(const model::LayerNorms norms, weights_.Norms(layer));
    MOESAIC_ASSIGN_OR_RETURN(loaded.attention_norm, Vector(norms.attention, name));
    MOESAIC_ASSIGN_OR_RETURN(loaded.mlp_norm, Vector(norms.mlp, name));
    if (config_.attention.kind == model::AttentionKind::kMla) {
      MOESAIC_ASSIGN_OR_RETURN(loaded.attention, Mla(layer, name));
    } else {
      MOESAIC_ASSIGN_OR_RETURN(loaded.attention, Gqa(layer, name));
    }
    if (config_.IsMoeLayer(layer)) {
      MOESAIC_ASSIGN_OR_RETURN(loaded.gate, Gate(layer));
      MOESAIC_ASSIGN_OR_RETURN(const std::optional<model::MlpWeights> shared,
                               weights_.SharedExperts(layer));
      if (shared) {
        MOESAIC_ASSIGN_OR_RETURN(loaded.mlp, Mlp(*shared));
      }
    } else {
      MOESAIC_ASSIGN_OR_RETURN(const model::MlpWeights mlp, weights_.DenseMlp(layer));
      MOESAIC_ASSIGN_OR_RETURN(loaded.mlp, Mlp(mlp));
    }
    return loaded;
  }

  absl::StatusOr<GqaWeights> Gqa(base::LayerId layer, std::string_view norm_name) {
    MOESAIC_ASSIGN_OR_RETURN(const model::GqaWeights source, weights_.Gqa(layer));
    GqaWeights loaded;
    MOESAIC_ASSIGN_OR_RETURN(loaded.qkv, Matrix({source.q_proj, source.k_proj, source.v_proj}));
    MOESAIC_ASSIGN_OR_RETURN(loaded.o, Matrix({source.o_proj}));
    if (source.q_norm) {
      MOESAIC_ASSIGN_OR_RETURN(loaded.q_norm, Vector(*source.q_norm, norm_name));
    }
    if (source.k_norm) {
      MOESAIC_ASSIGN_OR_RETURN(loaded.k_norm, Vector(*source.k_norm, norm_name));
    }
    return loaded;
  }

  absl::StatusOr<MlaWeights> Mla(base::LayerId layer, std::string_view norm_name) {
    MOESAIC_ASSIGN_OR_RETURN(const model::MlaWeights source, weights_.Mla(layer));
    MlaWeights loaded;
    if (source.q_proj) {
      MOESAIC_ASSIGN_OR_RETURN(loaded.a, Matrix({*source.q_proj, source.kv_a}));
    } else {
      MOESAIC_ASSIGN_OR_RETURN(loaded.a, Matrix({*source.q_a, source.kv_a}));
      MOESAIC_ASSIGN_OR_RETURN(loaded.q_a_norm, Vector(*source.q_a_norm, norm_name));
      MOESAIC_ASSIGN_OR_RETURN(loaded.q_b, Matrix({*source.q_b}));
    }
    MOESAIC_ASSIGN_OR_RETURN(loaded.kv_a_norm, Vector(source.kv_a_norm, norm_name));
    MOESAIC_RETURN_IF_ERROR(KvB(source.kv_b, loaded));
    MOESAIC_ASSIGN_OR_RETURN(loaded.o, Matrix({source.o_proj}));
    return loaded;
  }

  /// kv_b stays row-major: the attention kernel reads it both ways.
  absl::Status KvB(const model::Weight& source, MlaWeights& loaded) {
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

  absl::StatusOr<GateWeights> Gate(base::LayerId layer) {
    MOESAIC_ASSIGN_OR_RETURN(const model::GateWeights source, weights_.Gate(layer));
    GateWeights loaded;
    // Never rounded: the choice of experts hangs on it.
    MOESAIC_ASSIGN_OR_RETURN(
        loaded.weight,
        MatrixOf({&source.weight, 1}, PackedStorage({&source.weight, 1}, DType::kF32)));
    if (source.correction_bias) {
      MOESAIC_ASSIGN_OR_RETURN(loaded.correction_bias,
                               Vector(*source.correction_bias,
                                      absl::StrCat("layer ", layer.value(), ": the gate bias")));
    }
    return loaded;
  }

  absl::StatusOr<GatedMlpWeights> Mlp(const model::MlpWeights& source) {
    GatedMlpWeights loaded;
    MOESAIC_ASSIGN_OR_RETURN(loaded.gate_up, Matrix({source.gate, source.up}));
    MOESAIC_ASSIGN_OR_RETURN(loaded.down, Matrix({source.down}));
    return loaded;
  }

  const model::Checkpoint& checkpoint_;
  const model::ModelConfig& config_;
  const model::WeightMap weights_;
  const DType compute_dtype_;
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
                                              DType compute_dtype, base::ComputePool& pool,
                                              LoadProgress progress) {
  if (compute_dtype != DType::kF32 && compute_dtype != DType::kBF16) {
    return absl::InvalidArgumentError(absl::StrCat(
        "compute dtype ", base::ToAbsl(DTypeName(compute_dtype)), " is neither f32 nor bf16"));
  }
  return Loader(checkpoint, compute_dtype, pool).Load(progress);
}

}  // namespace moesaic::router
