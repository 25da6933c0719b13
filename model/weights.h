#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "model/checkpoint.h"

namespace moesaic::model {

/// A gated MLP: down(silu(gate x) * up x).
struct MlpWeights {
  Weight gate;  ///< [intermediate, hidden]
  Weight up;    ///< [intermediate, hidden]
  Weight down;  ///< [hidden, intermediate]

  /// Bytes read from the files when all of it is touched.
  std::size_t bytes() const { return gate.bytes() + up.bytes() + down.bytes(); }
};

/// Multi-head latent attention. D = hidden, H = heads.
struct MlaWeights {
  std::optional<Weight> q_proj;    ///< [H * (nope + rope), D]; set iff q_lora_rank == 0.
  std::optional<Weight> q_a;       ///< [q_lora, D]; set iff q_lora_rank > 0, like the next two.
  std::optional<Weight> q_a_norm;  ///< [q_lora]
  std::optional<Weight> q_b;       ///< [H * (nope + rope), q_lora]
  Weight kv_a;                     ///< [kv_lora + rope, D]
  Weight kv_a_norm;                ///< [kv_lora]
  Weight kv_b;                     ///< [H * (nope + v), kv_lora], per head nope rows, then v rows.
  Weight o_proj;                   ///< [D, H * v]
};

/// Grouped-query attention. D = hidden.
struct GqaWeights {
  Weight q_proj;                 ///< [heads * head_dim, D]
  Weight k_proj;                 ///< [kv_heads * head_dim, D]
  Weight v_proj;                 ///< [kv_heads * head_dim, D]
  Weight o_proj;                 ///< [D, heads * head_dim]
  std::optional<Weight> q_norm;  ///< [head_dim] per head, or [heads * head_dim]; by QkNorm.
  std::optional<Weight> k_norm;  ///< [head_dim] per head, or [kv_heads * head_dim].
};

struct GateWeights {
  Weight weight;                          ///< [experts, hidden]
  std::optional<Weight> correction_bias;  ///< [experts], as GatingConfig::correction_bias says.
};

struct LayerNorms {
  Weight attention;  ///< input_layernorm [hidden]
  Weight mlp;        ///< post_attention_layernorm [hidden]
};

/// Finds the tensors of each role in a checkpoint by its family's names, checking every shape
/// against the config. All errors are those of Checkpoint::Find. Immutable; borrows `checkpoint`.
/// Layers from num_layers on are multi-token-prediction blocks with the same names inside.
class WeightMap {
 public:
  explicit WeightMap(const Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  const Checkpoint& checkpoint() const { return checkpoint_; }

  absl::StatusOr<Weight> Embedding() const;  ///< [vocab, hidden]
  absl::StatusOr<Weight> FinalNorm() const;  ///< [hidden]
  /// [vocab, hidden]; the embedding when tied.
  absl::StatusOr<Weight> LmHead() const;

  absl::StatusOr<LayerNorms> Norms(base::LayerId layer) const;
  /// Requires: the model's attention is MLA.
  absl::StatusOr<MlaWeights> Mla(base::LayerId layer) const;
  /// Requires: the model's attention is GQA.
  absl::StatusOr<GqaWeights> Gqa(base::LayerId layer) const;
  /// Requires: not a MoE layer.
  absl::StatusOr<MlpWeights> DenseMlp(base::LayerId layer) const;
  /// Requires for these three: a MoE layer.
  absl::StatusOr<GateWeights> Gate(base::LayerId layer) const;
  /// All shared experts as one MLP; empty when the model has none.
  absl::StatusOr<std::optional<MlpWeights>> SharedExperts(base::LayerId layer) const;
  /// Errors also: InvalidArgument when there is no such expert (ids come from the wire).
  absl::StatusOr<MlpWeights> RoutedExpert(base::LayerId layer, base::ExpertId expert) const;

 private:
  absl::StatusOr<MlpWeights> Mlp(const std::string& prefix, std::string_view gate,
                                 std::string_view up, std::string_view down,
                                 std::int64_t intermediate) const;

  const Checkpoint& checkpoint_;
};

}  // namespace moesaic::model
