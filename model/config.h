#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/ids.h"

namespace moesaic::model {

/// Architectures this build can run. Derivatives (Kimi-K2 and the like) belong to the family whose
/// code they share, with their own numbers.
enum class Family { kDeepSeekV2, kDeepSeekV3, kQwen3Moe, kMixtral, kOlmoe };

/// "deepseek_v2", "deepseek_v3", "qwen3_moe", "mixtral", "olmoe".
std::string_view FamilyName(Family family);

/// kMla: multi-head latent attention (DeepSeek). kGqa: grouped-query attention (all others;
/// plain multi-head attention is the case kv_heads == heads).
enum class AttentionKind { kMla, kGqa };

/// RMSNorm on queries and keys before RoPE.
enum class QkNorm {
  kNone,
  kPerHead,         ///< Weight [head_dim], one norm per head (Qwen3).
  kFullProjection,  ///< Weight [heads * head_dim], one norm before the head split (OLMoE).
};

/// Numbers of the attention block. MLA-only fields are 0 under GQA.
struct AttentionConfig {
  AttentionKind kind = AttentionKind::kGqa;
  int num_heads = 0;
  int num_kv_heads = 0;      ///< GQA: divides num_heads. MLA: equals num_heads.
  int head_dim = 0;          ///< GQA: width of q, k and v heads. MLA: qk_nope + qk_rope.
  int q_lora_rank = 0;       ///< MLA: 0 when queries are projected directly (V2-Lite).
  int kv_lora_rank = 0;      ///< MLA: width of the cached latent.
  int qk_nope_head_dim = 0;  ///< MLA.
  int qk_rope_head_dim = 0;  ///< MLA: width of the shared rotary key.
  int v_head_dim = 0;        ///< MLA: value width; GQA: equals head_dim.
  QkNorm qk_norm = QkNorm::kNone;
  /// OLMoE: q, k and v are clamped to ±clip_qkv after the norm.
  std::optional<float> clip_qkv;
  /// Factor of q·k, the YaRN mscale² of DeepSeek included (models.md, MLA).
  double softmax_scale = 0;
  /// Epsilon of q_a/kv_a layernorm: 1e-6 in the authors' code whatever rms_norm_eps says.
  float mla_norm_eps = 1e-6f;

  /// Width of all query heads together, the rows of q_proj / q_b_proj.
  std::int64_t QueryDim() const { return std::int64_t{num_heads} * head_dim; }
  /// GQA: width of all key (= value) heads together.
  std::int64_t KvDim() const { return std::int64_t{num_kv_heads} * head_dim; }
  /// Input width of o_proj.
  std::int64_t OutputDim() const { return std::int64_t{num_heads} * v_head_dim; }
};

enum class RopeLayout {
  kHalf,         ///< Pairs (i, i + dim/2).
  kInterleaved,  ///< Pairs (2i, 2i + 1), DeepSeek checkpoints.
};

/// YaRN context extension (arXiv 2309.00071), frequencies as in models.md, MLA.
struct YarnConfig {
  double factor = 1;
  std::int64_t original_max_position = 0;
  double beta_fast = 32;
  double beta_slow = 1;
};

struct RopeConfig {
  double theta = 10000;
  int dim = 0;  ///< Rotated width: even; head_dim, or qk_rope_head_dim under MLA.
  RopeLayout layout = RopeLayout::kHalf;
  std::optional<YarnConfig> yarn;
  /// cos and sin are multiplied by it (1 without YaRN).
  double attention_factor = 1;
};

enum class ScoringFunc { kSoftmax, kSigmoid };
enum class TopkMethod {
  kGreedy,              ///< Top-k of all experts.
  kGroupLimitedGreedy,  ///< Group score = its best expert (V2).
  kNoAuxTc,             ///< Group score = sum of its two best biased scores (V3).
};

/// How tokens choose experts (models.md, Routing), with the families' special cases resolved.
struct GatingConfig {
  ScoringFunc scoring = ScoringFunc::kSoftmax;
  TopkMethod method = TopkMethod::kGreedy;
  int num_groups = 1;  ///< Divides num_experts; 1 when the method has no groups.
  int topk_groups = 1;
  int top_k = 0;
  /// Divide the chosen weights by (their sum + renormalize_epsilon).
  bool renormalize = false;
  float renormalize_epsilon = 0;
  /// Multiplied onto every chosen weight, after renormalising. 1 where a family does not scale.
  float scale = 1;
  /// e_score_correction_bias exists and is added for selection only.
  bool correction_bias = false;
};

struct MoeConfig {
  int num_experts = 0;  ///< Routed experts per MoE layer.
  int num_shared_experts = 0;
  int expert_intermediate_size = 0;
  /// Width of the one MLP that holds all shared experts; 0 without them.
  int shared_intermediate_size = 0;
  GatingConfig gating;
};

/// Block-scaled fp8 weights: W[n][k] = fp8[n][k] * scale_inv[n / block_rows][k / block_cols].
struct Fp8Config {
  int block_rows = 128;
  int block_cols = 128;
  std::vector<std::string> modules_to_not_convert;
};

/// What a Hugging Face config.json says, checked and resolved. Plain value.
struct ModelConfig {
  Family family = Family::kDeepSeekV3;
  std::string model_type;    ///< As written; derivatives rename it.
  std::string architecture;  ///< architectures[0], may be empty.

  int hidden_size = 0;
  int num_layers = 0;  ///< Decoder layers without multi-token-prediction blocks.
  int vocab_size = 0;
  int dense_intermediate_size = 0;  ///< MLP of the non-MoE layers; 0 when there are none.
  std::int64_t max_position = 0;    ///< Context length in tokens.
  float rms_norm_eps = 1e-6f;
  bool tie_word_embeddings = false;
  int num_nextn_predict_layers = 0;  ///< Multi-token-prediction layers after num_layers.

  AttentionConfig attention;
  RopeConfig rope;
  MoeConfig moe;
  std::vector<base::LayerId> moe_layers;  ///< Ascending, below num_layers.

  std::vector<std::int64_t> eos_token_ids;
  std::optional<std::int64_t> bos_token_id;
  std::optional<std::int64_t> pad_token_id;
  std::string torch_dtype;  ///< "bfloat16", "float16", "float32", or empty when absent.
  std::optional<Fp8Config> fp8;

  /// Also answers for multi-token-prediction layers (≥ num_layers), which are MoE layers.
  bool IsMoeLayer(base::LayerId layer) const;
};

/// Parses config.json. `path` only names the file in messages.
/// Errors, all naming path and key: InvalidArgument for malformed JSON, missing or impossible
/// values; Unimplemented for a known key that changes the arithmetic in a way not supported, and
/// for an unknown architecture (listing the supported ones). Unknown keys are ignored.
absl::StatusOr<ModelConfig> ParseConfig(std::string_view json, std::string_view path);

}  // namespace moesaic::model
