#include "model/weights.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "base/strings.h"

namespace moesaic::model {
namespace {

using base::ExpertId;
using base::LayerId;
using base::ToAbsl;

std::string LayerPrefix(LayerId layer) { return absl::StrCat("model.layers.", layer.value(), "."); }

/// Mixtral names its MoE block differently from all others (models.md, Tensor names).
std::string MoePrefix(const ModelConfig& config, LayerId layer) {
  return absl::StrCat(LayerPrefix(layer),
                      config.family == Family::kMixtral ? "block_sparse_moe." : "mlp.");
}

}  // namespace

absl::StatusOr<Weight> WeightMap::Embedding() const {
  const ModelConfig& config = checkpoint_.config();
  return checkpoint_.Find("model.embed_tokens.weight", {config.vocab_size, config.hidden_size});
}

absl::StatusOr<Weight> WeightMap::FinalNorm() const {
  return checkpoint_.Find("model.norm.weight", {checkpoint_.config().hidden_size});
}

absl::StatusOr<Weight> WeightMap::LmHead() const {
  const ModelConfig& config = checkpoint_.config();
  if (config.tie_word_embeddings) return Embedding();
  return checkpoint_.Find("lm_head.weight", {config.vocab_size, config.hidden_size});
}

absl::StatusOr<LayerNorms> WeightMap::Norms(LayerId layer) const {
  const std::int64_t hidden = checkpoint_.config().hidden_size;
  const std::string prefix = LayerPrefix(layer);
  LayerNorms norms;
  MOESAIC_ASSIGN_OR_RETURN(
      norms.attention, checkpoint_.Find(absl::StrCat(prefix, "input_layernorm.weight"), {hidden}));
  MOESAIC_ASSIGN_OR_RETURN(
      norms.mlp,
      checkpoint_.Find(absl::StrCat(prefix, "post_attention_layernorm.weight"), {hidden}));
  return norms;
}

absl::StatusOr<MlaWeights> WeightMap::Mla(LayerId layer) const {
  const AttentionConfig& attention = checkpoint_.config().attention;
  MOESAIC_CHECK(attention.kind == AttentionKind::kMla);
  const std::int64_t hidden = checkpoint_.config().hidden_size;
  const std::int64_t q_lora = attention.q_lora_rank;
  const std::int64_t kv_lora = attention.kv_lora_rank;
  const std::int64_t kv_b_rows =
      std::int64_t{attention.num_heads} * (attention.qk_nope_head_dim + attention.v_head_dim);
  const std::string prefix = absl::StrCat(LayerPrefix(layer), "self_attn.");
  const auto find = [&](const char* name, std::initializer_list<std::int64_t> shape) {
    return checkpoint_.Find(absl::StrCat(prefix, name, ".weight"), shape);
  };
  MlaWeights weights;
  if (q_lora == 0) {
    MOESAIC_ASSIGN_OR_RETURN(weights.q_proj, find("q_proj", {attention.QueryDim(), hidden}));
  } else {
    MOESAIC_ASSIGN_OR_RETURN(weights.q_a, find("q_a_proj", {q_lora, hidden}));
    MOESAIC_ASSIGN_OR_RETURN(weights.q_a_norm, find("q_a_layernorm", {q_lora}));
    MOESAIC_ASSIGN_OR_RETURN(weights.q_b, find("q_b_proj", {attention.QueryDim(), q_lora}));
  }
  MOESAIC_ASSIGN_OR_RETURN(
      weights.kv_a, find("kv_a_proj_with_mqa", {kv_lora + attention.qk_rope_head_dim, hidden}));
  MOESAIC_ASSIGN_OR_RETURN(weights.kv_a_norm, find("kv_a_layernorm", {kv_lora}));
  MOESAIC_ASSIGN_OR_RETURN(weights.kv_b, find("kv_b_proj", {kv_b_rows, kv_lora}));
  MOESAIC_ASSIGN_OR_RETURN(weights.o_proj, find("o_proj", {hidden, attention.OutputDim()}));
  return weights;
}

absl::StatusOr<GqaWeights> WeightMap::Gqa(LayerId layer) const {
  const AttentionConfig& attention = checkpoint_.config().attention;
  MOESAIC_CHECK(attention.kind == AttentionKind::kGqa);
  const std::int64_t hidden = checkpoint_.config().hidden_size;
  const std::string prefix = absl::StrCat(LayerPrefix(layer), "self_attn.");
  const auto find = [&](const char* name, std::initializer_list<std::int64_t> shape) {
    return checkpoint_.Find(absl::StrCat(prefix, name, ".weight"), shape);
  };
  GqaWeights weights;
  MOESAIC_ASSIGN_OR_RETURN(weights.q_proj, find("q_proj", {attention.QueryDim(), hidden}));
  MOESAIC_ASSIGN_OR_RETURN(weights.k_proj, find("k_proj", {attention.KvDim(), hidden}));
  MOESAIC_ASSIGN_OR_RETURN(weights.v_proj, find("v_proj", {attention.KvDim(), hidden}));
  MOESAIC_ASSIGN_OR_RETURN(weights.o_proj, find("o_proj", {hidden, attention.OutputDim()}));
  if (attention.qk_norm != QkNorm::kNone) {
    const bool per_head = attention.qk_norm == QkNorm::kPerHead;
    const std::int64_t q_width = per_head ? attention.head_dim : attention.QueryDim();
    const std::int64_t k_width = per_head ? attention.head_dim : attention.KvDim();
    MOESAIC_ASSIGN_OR_RETURN(weights.q_norm, find("q_norm", {q_width}));
    MOESAIC_ASSIGN_OR_RETURN(weights.k_norm, find("k_norm", {k_width}));
  }
  return weights;
}

absl::StatusOr<MlpWeights> WeightMap::Mlp(const std::string& prefix, std::string_view gate,
                                          std::string_view up, std::string_view down,
                                          std::int64_t intermediate) const {
  const std::int64_t hidden = checkpoint_.config().hidden_size;
  const auto name = [&](std::string_view role) {
    return absl::StrCat(prefix, ToAbsl(role), ".weight");
  };
  MlpWeights weights;
  MOESAIC_ASSIGN_OR_RETURN(weights.gate, checkpoint_.Find(name(gate), {intermediate, hidden}));
  MOESAIC_ASSIGN_OR_RETURN(weights.up, checkpoint_.Find(name(up), {intermediate, hidden}));
  MOESAIC_ASSIGN_OR_RETURN(weights.down, checkpoint_.Find(name(down), {hidden, intermediate}));
  return weights;
}

absl::StatusOr<MlpWeights> WeightMap::DenseMlp(LayerId layer) const {
  const ModelConfig& config = checkpoint_.config();
  MOESAIC_CHECK(!config.IsMoeLayer(layer));
  return Mlp(absl::StrCat(LayerPrefix(layer), "mlp."), "gate_proj", "up_proj", "down_proj",
             config.dense_intermediate_size);
}

absl::StatusOr<GateWeights> WeightMap::Gate(LayerId layer) const {
  const ModelConfig& config = checkpoint_.config();
  MOESAIC_CHECK(config.IsMoeLayer(layer));
  const std::string prefix = absl::StrCat(MoePrefix(config, layer), "gate.");
  GateWeights weights;
  MOESAIC_ASSIGN_OR_RETURN(weights.weight,
                           checkpoint_.Find(absl::StrCat(prefix, "weight"),
                                            {config.moe.num_experts, config.hidden_size}));
  if (config.moe.gating.correction_bias) {
    MOESAIC_ASSIGN_OR_RETURN(weights.correction_bias,
                             checkpoint_.Find(absl::StrCat(prefix, "e_score_correction_bias"),
                                              {config.moe.num_experts}));
  }
  return weights;
}

absl::StatusOr<std::optional<MlpWeights>> WeightMap::SharedExperts(LayerId layer) const {
  const ModelConfig& config = checkpoint_.config();
  MOESAIC_CHECK(config.IsMoeLayer(layer));
  if (config.moe.num_shared_experts == 0) return std::optional<MlpWeights>();
  return Mlp(absl::StrCat(MoePrefix(config, layer), "shared_experts."), "gate_proj", "up_proj",
             "down_proj", config.moe.shared_intermediate_size);
}

absl::StatusOr<MlpWeights> WeightMap::RoutedExpert(LayerId layer, ExpertId expert) const {
  const ModelConfig& config = checkpoint_.config();
  if (!config.IsMoeLayer(layer) ||
      expert.value() >= static_cast<std::uint32_t>(config.moe.num_experts)) {
    return absl::InvalidArgumentError(absl::StrCat(checkpoint_.directory(), ": there is no expert ",
                                                   expert.value(), " in layer ", layer.value()));
  }
  const std::string prefix =
      absl::StrCat(MoePrefix(config, layer), "experts.", expert.value(), ".");
  const std::int64_t width = config.moe.expert_intermediate_size;
  if (config.family == Family::kMixtral) return Mlp(prefix, "w1", "w3", "w2", width);
  return Mlp(prefix, "gate_proj", "up_proj", "down_proj", width);
}

}  // namespace moesaic::model
