#pragma once

#include <cstddef>
#include <optional>
#include <variant>
#include <vector>

#include "base/tensor.h"
#include "kernels/packed_matrix.h"

namespace moesaic::router {

/// An owned tensor: memory and the view of all of it.
struct OwnedTensor {
  base::Buffer memory;
  base::TensorView view;  ///< No data when the model has no such tensor.
};

/// Grouped-query attention of a layer. Norms are f32.
struct GqaWeights {
  kernels::PackedMatrix qkv;  ///< [q + k + v, hidden]
  kernels::PackedMatrix o;    ///< [hidden, heads * head_dim]
  OwnedTensor q_norm;         ///< [head_dim] or [heads * head_dim]
  OwnedTensor k_norm;         ///< [head_dim] or [kv_heads * head_dim]
};

/// Multi-head latent attention of a layer.
struct MlaWeights {
  /// [q_a | kv_a, hidden]: q_lora rows (or those of q_proj without it), then kv_lora + rope.
  kernels::PackedMatrix a;
  OwnedTensor q_a_norm;       ///< [q_lora]
  kernels::PackedMatrix q_b;  ///< [heads * (nope + rope), q_lora]; empty without q_lora.
  OwnedTensor kv_a_norm;      ///< [kv_lora]
  OwnedTensor kv_b;           ///< [heads * (nope + v), kv_lora], f32, bf16 or fp8, row-major.
  OwnedTensor kv_b_scales;    ///< fp8 only: f32 [ceil / 128, ceil / 128].
  kernels::PackedMatrix o;    ///< [hidden, heads * v]
};

/// down(silu(gate x) * up x).
struct GatedMlpWeights {
  kernels::PackedMatrix gate_up;  ///< [2 * intermediate, hidden]
  kernels::PackedMatrix down;     ///< [hidden, intermediate]

  std::int64_t intermediate() const { return down.k(); }
};

struct GateWeights {
  kernels::PackedMatrix weight;  ///< [experts, hidden]
  OwnedTensor correction_bias;   ///< [experts] f32
};

/// What a router computes of a layer: everything but the routed experts.
struct DenseLayer {
  OwnedTensor attention_norm;  ///< [hidden] f32
  std::variant<GqaWeights, MlaWeights> attention;
  OwnedTensor mlp_norm;                ///< [hidden] f32
  std::optional<GateWeights> gate;     ///< Set iff the layer is MoE.
  std::optional<GatedMlpWeights> mlp;  ///< The dense MLP, or the shared experts if there are any.
};

/// All weights that every token needs. Immutable once loaded.
struct DenseWeights {
  OwnedTensor embedding;  ///< [vocab, hidden] as stored
  std::vector<DenseLayer> layers;
  OwnedTensor final_norm;         ///< [hidden] f32
  kernels::PackedMatrix lm_head;  ///< [vocab, hidden]
  std::size_t bytes = 0;          ///< Memory held.
};

}  // namespace moesaic::router
