#include "model/config.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "model/json_reader.h"

namespace moesaic::model {
namespace {

using base::LayerId;
using base::ToAbsl;

// Bounds far above every published model that keep all products of two sizes within 63 bits.
constexpr int kMaxLayers = 4096;
constexpr int kMaxExperts = 1 << 16;
constexpr int kMaxHeads = 1 << 16;
constexpr int kMaxWidth = 1 << 24;
constexpr std::int64_t kMaxTokens = std::numeric_limits<std::int32_t>::max();

struct FamilyNames {
  Family family;
  std::string_view model_type;
  std::string_view architecture;
};
constexpr FamilyNames kFamilies[] = {
    {Family::kDeepSeekV2, "deepseek_v2", "DeepseekV2ForCausalLM"},
    {Family::kDeepSeekV3, "deepseek_v3", "DeepseekV3ForCausalLM"},
    {Family::kQwen3Moe, "qwen3_moe", "Qwen3MoeForCausalLM"},
    {Family::kMixtral, "mixtral", "MixtralForCausalLM"},
    {Family::kOlmoe, "olmoe", "OlmoeForCausalLM"},
};

bool IsDeepSeek(Family family) {
  return family == Family::kDeepSeekV2 || family == Family::kDeepSeekV3;
}

/// architectures[0] decides; model_type only where that is absent or unknown.
void ReadFamily(JsonReader& reader, ModelConfig& config) {
  config.model_type = reader.String("model_type", "");
  const std::vector<std::string> architectures = reader.Strings("architectures");
  if (!architectures.empty()) config.architecture = architectures[0];
  for (const FamilyNames& names : kFamilies) {
    if (names.architecture == config.architecture) {
      config.family = names.family;
      return;
    }
  }
  std::string supported;
  for (const FamilyNames& names : kFamilies) {
    if (names.model_type == config.model_type) {
      config.family = names.family;
      return;
    }
    absl::StrAppend(&supported, supported.empty() ? "" : ", ", ToAbsl(names.model_type), " (",
                    ToAbsl(names.architecture), ")");
  }
  reader.Unsupported("model_type", absl::StrCat("'", config.model_type, "' with architecture '",
                                                config.architecture,
                                                "' is not supported; supported are ", supported));
}

/// Keys that some model of these families may carry and that would change the arithmetic.
void RejectUnsupported(JsonReader& reader) {
  const std::string act = reader.String("hidden_act", "silu");
  if (act != "silu" && act != "swish") {
    reader.Unsupported("hidden_act", absl::StrCat("'", act, "' is not supported, only 'silu'"));
  }
  for (const std::string_view key : {"attention_bias", "mlp_bias", "qkv_bias", "use_bias"}) {
    if (reader.Bool(key, false)) reader.Unsupported(key, "biases are not supported");
  }
  if (reader.Number("partial_rotary_factor", 0, 1, 1) != 1) {
    reader.Unsupported("partial_rotary_factor", "only 1 is supported");
  }
  for (const std::string& type : reader.Strings("layer_types")) {
    if (type != "full_attention") {
      reader.Unsupported("layer_types", absl::StrCat("'", type, "' is not supported"));
    }
  }
  if (reader.Has("compression_config")) {
    reader.Unsupported("compression_config", "this quantisation is not supported");
  }
}

/// A window no shorter than the context never masks anything and is accepted.
void RejectSlidingWindow(JsonReader& reader, const ModelConfig& config) {
  // Qwen3's switch is off unless it is written; the others have no switch.
  if (!reader.Bool("use_sliding_window", config.family != Family::kQwen3Moe)) return;
  const auto window = reader.OptionalInt("sliding_window", 0, kMaxTokens);
  if (window && *window < config.max_position) {
    reader.Unsupported("sliding_window", "attention within a window is not supported");
  }
}

void ReadMla(JsonReader& reader, AttentionConfig& attention) {
  attention.kind = AttentionKind::kMla;
  attention.num_kv_heads = attention.num_heads;
  attention.q_lora_rank = reader.Int("q_lora_rank", 0, kMaxWidth, 0);
  attention.kv_lora_rank = reader.Int("kv_lora_rank", 1, kMaxWidth);
  attention.qk_nope_head_dim = reader.Int("qk_nope_head_dim", 1, kMaxWidth);
  attention.qk_rope_head_dim = reader.Int("qk_rope_head_dim", 2, kMaxWidth);
  attention.v_head_dim = reader.Int("v_head_dim", 1, kMaxWidth);
  attention.head_dim = attention.qk_nope_head_dim + attention.qk_rope_head_dim;
}

void ReadGqa(JsonReader& reader, const ModelConfig& config, AttentionConfig& attention) {
  attention.kind = AttentionKind::kGqa;
  attention.num_kv_heads =
      config.family == Family::kOlmoe
          ? reader.Int("num_key_value_heads", 1, kMaxHeads, attention.num_heads)
          : reader.Int("num_key_value_heads", 1, kMaxHeads);
  if (attention.num_heads % attention.num_kv_heads != 0) {
    reader.Invalid("num_key_value_heads", "must divide num_attention_heads");
  }
  attention.head_dim =
      reader.Int("head_dim", 1, kMaxWidth, config.hidden_size / attention.num_heads);
  if (!reader.Has("head_dim") && config.hidden_size % attention.num_heads != 0) {
    reader.Invalid("num_attention_heads", "must divide hidden_size when head_dim is absent");
  }
  attention.v_head_dim = attention.head_dim;
  if (config.family == Family::kQwen3Moe) attention.qk_norm = QkNorm::kPerHead;
  if (config.family == Family::kOlmoe) attention.qk_norm = QkNorm::kFullProjection;
  const auto clip = reader.OptionalNumber("clip_qkv", 1e-6, 1e30);
  if (clip && config.family == Family::kOlmoe) attention.clip_qkv = static_cast<float>(*clip);
  if (clip && config.family != Family::kOlmoe) {
    reader.Unsupported("clip_qkv", "supported for olmoe only");
  }
}

void ReadAttention(JsonReader& reader, ModelConfig& config) {
  AttentionConfig& attention = config.attention;
  attention.num_heads = reader.Int("num_attention_heads", 1, kMaxHeads);
  if (IsDeepSeek(config.family)) {
    ReadMla(reader, attention);
  } else {
    ReadGqa(reader, config, attention);
  }
  attention.softmax_scale = 1 / std::sqrt(static_cast<double>(std::max(attention.head_dim, 1)));
}

/// YaRN's attention temperature: 0.1 · m · ln(s) + 1 for s > 1.
double Mscale(double factor, double m) { return factor <= 1 ? 1 : 0.1 * m * std::log(factor) + 1; }

/// cos/sin factor and softmax scale: DeepSeek's modelling code for its families (both mscale keys,
/// and mscale² on the softmax scale), transformers' modeling_rope_utils.py for the others.
void ReadYarn(JsonReader& yarn, ModelConfig& config) {
  YarnConfig params;
  params.factor = yarn.Number("factor", 1, 1e6);
  params.original_max_position =
      yarn.Int("original_max_position_embeddings", 1, kMaxTokens, config.max_position);
  params.beta_fast = yarn.Number("beta_fast", 1e-3, 1e6, 32);
  params.beta_slow = yarn.Number("beta_slow", 1e-3, 1e6, 1);
  if (!yarn.Bool("truncate", true)) yarn.Unsupported("truncate", "only true is supported");
  const double mscale = yarn.Number("mscale", 0, 100, IsDeepSeek(config.family) ? 1 : 0);
  const double mscale_all_dim = yarn.Number("mscale_all_dim", 0, 100, 0);
  double attention_factor = Mscale(params.factor, 1);
  if (IsDeepSeek(config.family)) {
    const double all = Mscale(params.factor, mscale_all_dim);
    attention_factor = Mscale(params.factor, mscale) / all;
    config.attention.softmax_scale *= all * all;
  } else if (mscale != 0 && mscale_all_dim != 0) {
    attention_factor = Mscale(params.factor, mscale) / Mscale(params.factor, mscale_all_dim);
  }
  config.rope.attention_factor = yarn.Number("attention_factor", 1e-3, 1e3, attention_factor);
  config.max_position = std::clamp(
      static_cast<std::int64_t>(static_cast<double>(params.original_max_position) * params.factor),
      config.max_position, kMaxTokens);
  config.rope.yarn = params;
}

/// Older files: rope_theta, and rope_scaling that may be null; newer: rope_parameters with both.
void ReadRope(JsonReader& reader, ModelConfig& config) {
  RopeConfig& rope = config.rope;
  const bool mla = config.attention.kind == AttentionKind::kMla;
  rope.dim = mla ? config.attention.qk_rope_head_dim : config.attention.head_dim;
  if (rope.dim % 2 != 0) {
    reader.Invalid(mla ? "qk_rope_head_dim" : "head_dim", "must be even for rotary embedding");
  }
  const bool interleaved = mla && reader.Bool("rope_interleave", true);
  rope.layout = interleaved ? RopeLayout::kInterleaved : RopeLayout::kHalf;

  const std::string_view key = reader.Has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  std::optional<JsonReader> scaling = reader.Object(key);
  JsonReader& theta_reader = scaling && scaling->Has("rope_theta") ? *scaling : reader;
  rope.theta = theta_reader.Number("rope_theta", 1 + 1e-6, 1e12);
  if (!scaling) return;
  const std::string_view type_key = scaling->Has("rope_type") ? "rope_type" : "type";
  const std::string type = scaling->String(type_key, "default");
  if (type == "yarn") {
    ReadYarn(*scaling, config);
  } else if (type != "default") {
    scaling->Unsupported(type_key, absl::StrCat("'", type, "' is not supported, only 'yarn'"));
  }
  if (scaling->Has("full_attention") || scaling->Has("sliding_attention")) {
    reader.Unsupported(key, "parameters per layer type are not supported");
  }
}

void ReadDeepSeekGroups(JsonReader& reader, const MoeConfig& moe, GatingConfig& gating) {
  gating.num_groups = reader.Int("n_group", 1, moe.num_experts);
  gating.topk_groups = reader.Int("topk_group", 1, gating.num_groups);
  if (moe.num_experts % gating.num_groups != 0) {
    reader.Invalid("n_group", "must divide the number of experts");
    return;
  }
  const int group_size = moe.num_experts / gating.num_groups;
  if (gating.method == TopkMethod::kNoAuxTc && group_size < 2) {
    reader.Invalid("n_group", "noaux_tc needs groups of at least two experts");
  }
  if (gating.top_k > gating.topk_groups * group_size) {
    reader.Invalid("topk_group", "the chosen groups hold fewer experts than num_experts_per_tok");
  }
}

void ReadDeepSeekGating(JsonReader& reader, Family family, const MoeConfig& moe,
                        GatingConfig& gating) {
  const bool v3 = family == Family::kDeepSeekV3;
  const std::string_view expected = v3 ? "sigmoid" : "softmax";
  const std::string scoring = reader.String("scoring_func", expected);
  if (scoring != expected) {
    reader.Unsupported("scoring_func", absl::StrCat("'", scoring, "' is not supported, only '",
                                                    ToAbsl(expected), "'"));
  }
  gating.scoring = v3 ? ScoringFunc::kSigmoid : ScoringFunc::kSoftmax;
  const std::string method = reader.String("topk_method", v3 ? "noaux_tc" : "greedy");
  if (v3 && method == "noaux_tc") {
    gating.method = TopkMethod::kNoAuxTc;
    gating.correction_bias = true;
  } else if (!v3 && method == "group_limited_greedy") {
    gating.method = TopkMethod::kGroupLimitedGreedy;
  } else if (v3 || method != "greedy") {
    reader.Unsupported("topk_method", absl::StrCat("'", method, "' is not supported"));
  }
  if (gating.method != TopkMethod::kGreedy) ReadDeepSeekGroups(reader, moe, gating);

  gating.renormalize = reader.Bool("norm_topk_prob", v3);
  gating.renormalize_epsilon = 1e-20f;
  gating.scale = static_cast<float>(v3 ? reader.Number("routed_scaling_factor", 1e-6, 1e6)
                                       : reader.Number("routed_scaling_factor", 1e-6, 1e6, 1));
  // V2 either normalises or scales, and never normalises a single expert.
  if (!v3 && gating.top_k == 1) gating.renormalize = false;
  if (!v3 && gating.renormalize) gating.scale = 1;
}

void ReadMoe(JsonReader& reader, ModelConfig& config) {
  MoeConfig& moe = config.moe;
  const bool deepseek = IsDeepSeek(config.family);
  std::string_view experts_key = deepseek ? "n_routed_experts" : "num_experts";
  if (!reader.Has(experts_key) && reader.Has("num_local_experts")) {
    experts_key = "num_local_experts";
  }
  moe.num_experts = reader.Int(experts_key, 1, kMaxExperts);
  moe.gating.top_k = reader.Int("num_experts_per_tok", 1, moe.num_experts);
  const bool own_width = deepseek || config.family == Family::kQwen3Moe;
  moe.expert_intermediate_size =
      reader.Int(own_width ? "moe_intermediate_size" : "intermediate_size", 1, kMaxWidth);
  if (deepseek) {
    moe.num_shared_experts = reader.Int("n_shared_experts", 0, 1 << 6, 0);
    moe.shared_intermediate_size = moe.num_shared_experts * moe.expert_intermediate_size;
    ReadDeepSeekGating(reader, config.family, moe, moe.gating);
  } else {
    // Mixtral's code renormalises whatever the file says.
    moe.gating.renormalize =
        config.family == Family::kMixtral || reader.Bool("norm_topk_prob", false);
  }
}

/// Which layers are MoE (models.md, Configurations), and the width of the others.
void ReadLayers(JsonReader& reader, ModelConfig& config) {
  const std::int64_t first_dense = reader.Int("first_k_dense_replace", 0, kMaxLayers, 0);
  const std::int64_t frequency = reader.Int("moe_layer_freq", 1, kMaxLayers, 1);
  const std::int64_t sparse_step = reader.Int("decoder_sparse_step", 1, kMaxLayers, 1);
  std::vector<bool> mlp_only(kMaxLayers + 1);
  for (const std::int64_t layer : reader.Ints("mlp_only_layers", 0, kMaxLayers)) {
    mlp_only[layer] = true;
  }
  for (int layer = 0; layer < config.num_layers; ++layer) {
    bool moe = true;
    if (IsDeepSeek(config.family)) {
      moe = layer >= first_dense && layer % frequency == 0;
    } else if (config.family == Family::kQwen3Moe) {
      moe = (layer + 1) % sparse_step == 0 && !mlp_only[layer];
    }
    if (moe) config.moe_layers.emplace_back(layer);
  }
  if (config.moe_layers.empty()) reader.Unsupported("num_hidden_layers", "no layer has experts");
  if (static_cast<int>(config.moe_layers.size()) < config.num_layers) {
    config.dense_intermediate_size = reader.Int("intermediate_size", 1, kMaxWidth);
  }
}

void ReadQuantization(JsonReader& reader, ModelConfig& config) {
  std::optional<JsonReader> quantization = reader.Object("quantization_config");
  if (!quantization) return;
  const std::string method = quantization->String("quant_method", "");
  if (method != "fp8") {
    quantization->Unsupported("quant_method",
                              absl::StrCat("'", method, "' is not supported, only 'fp8'"));
    return;
  }
  const std::string format = quantization->String("fmt", "e4m3");
  if (format != "e4m3") {
    quantization->Unsupported("fmt", absl::StrCat("'", format, "' is not supported, only 'e4m3'"));
  }
  const std::vector<std::int64_t> block = quantization->Ints("weight_block_size", 1, 1 << 16);
  if (block.size() != 2) {
    quantization->Unsupported("weight_block_size", "only [rows, columns] blocks are supported");
    return;
  }
  config.fp8 = Fp8Config{.block_rows = static_cast<int>(block[0]),
                         .block_cols = static_cast<int>(block[1]),
                         .modules_to_not_convert = quantization->Strings("modules_to_not_convert")};
}

void ReadTokenIds(JsonReader& reader, ModelConfig& config) {
  config.eos_token_ids = reader.Ints("eos_token_id", 0, kMaxTokens, /*or_single=*/true);
  config.bos_token_id = reader.OptionalInt("bos_token_id", 0, kMaxTokens);
  config.pad_token_id = reader.OptionalInt("pad_token_id", -1, kMaxTokens);
  // Some older files write -1 for "none".
  if (config.pad_token_id == -1) config.pad_token_id.reset();
}

void ReadSizes(JsonReader& reader, ModelConfig& config) {
  config.hidden_size = reader.Int("hidden_size", 1, kMaxWidth);
  config.num_layers = reader.Int("num_hidden_layers", 1, kMaxLayers);
  config.vocab_size = reader.Int("vocab_size", 1, kMaxWidth);
  config.max_position = reader.Int("max_position_embeddings", 1, kMaxTokens);
  const bool fine_eps = IsDeepSeek(config.family) || config.family == Family::kQwen3Moe;
  config.rms_norm_eps =
      static_cast<float>(reader.Number("rms_norm_eps", 1e-30, 1, fine_eps ? 1e-6 : 1e-5));
  config.tie_word_embeddings = reader.Bool("tie_word_embeddings", false);
  config.num_nextn_predict_layers = reader.Int("num_nextn_predict_layers", 0, kMaxLayers, 0);
  config.torch_dtype = reader.String(reader.Has("dtype") ? "dtype" : "torch_dtype", "");
}

}  // namespace

std::string_view FamilyName(Family family) {
  for (const FamilyNames& names : kFamilies) {
    if (names.family == family) return names.model_type;
  }
  MOESAIC_CHECK(false);
}

bool ModelConfig::IsMoeLayer(LayerId layer) const {
  const auto l = static_cast<std::int64_t>(layer.value());
  if (l >= num_layers) return l < std::int64_t{num_layers} + num_nextn_predict_layers;
  return std::ranges::binary_search(moe_layers, layer);
}

absl::StatusOr<ModelConfig> ParseConfig(std::string_view json, std::string_view path) {
  MOESAIC_ASSIGN_OR_RETURN(const nlohmann::json object, ParseJsonObject(json, path));
  absl::Status status;
  JsonReader reader(object, std::string(path), status);
  ModelConfig config;
  ReadFamily(reader, config);
  MOESAIC_RETURN_IF_ERROR(status);
  RejectUnsupported(reader);
  ReadSizes(reader, config);
  ReadAttention(reader, config);
  RejectSlidingWindow(reader, config);
  ReadRope(reader, config);
  ReadMoe(reader, config);
  ReadLayers(reader, config);
  ReadQuantization(reader, config);
  ReadTokenIds(reader, config);
  MOESAIC_RETURN_IF_ERROR(status);
  return config;
}

}  // namespace moesaic::model
