#include "model/config.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/unit/model/config_fixtures.h"

namespace moesaic::model {
namespace {

using base::LayerId;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kPath[] = "dir/config.json";

ModelConfig Parse(const std::string& json) {
  const absl::StatusOr<ModelConfig> config = ParseConfig(json, kPath);
  EXPECT_TRUE(config.ok()) << config.status();
  return config.value_or(ModelConfig{});
}

/// `json` with one key replaced; null removes nothing but is a legal value.
std::string With(const char* json, const std::string& pointer, const nlohmann::json& value) {
  nlohmann::json object = nlohmann::json::parse(json);
  object[nlohmann::json::json_pointer(pointer)] = value;
  return object.dump();
}

std::string Without(const char* json, const std::string& key) {
  nlohmann::json object = nlohmann::json::parse(json);
  object.erase(key);
  return object.dump();
}

TEST(ConfigTest, DeepSeekV3) {
  const ModelConfig config = Parse(testing::kDeepSeekV3Config);
  EXPECT_EQ(config.family, Family::kDeepSeekV3);
  EXPECT_EQ(config.hidden_size, 7168);
  EXPECT_EQ(config.num_layers, 61);
  EXPECT_EQ(config.vocab_size, 129280);
  EXPECT_EQ(config.dense_intermediate_size, 18432);
  EXPECT_EQ(config.max_position, 163840);
  EXPECT_EQ(config.num_nextn_predict_layers, 1);
  const AttentionConfig& attention = config.attention;
  EXPECT_EQ(attention.kind, AttentionKind::kMla);
  EXPECT_EQ(attention.num_heads, 128);
  EXPECT_EQ(attention.q_lora_rank, 1536);
  EXPECT_EQ(attention.kv_lora_rank, 512);
  EXPECT_EQ(attention.head_dim, 192);
  EXPECT_EQ(attention.v_head_dim, 128);
  EXPECT_NEAR(attention.softmax_scale, 0.13523378, 1e-8);
  EXPECT_EQ(config.rope.layout, RopeLayout::kInterleaved);
  EXPECT_EQ(config.rope.dim, 64);
  ASSERT_TRUE(config.rope.yarn.has_value());
  EXPECT_EQ(config.rope.yarn->factor, 40);
  EXPECT_EQ(config.rope.yarn->original_max_position, 4096);
  EXPECT_EQ(config.rope.attention_factor, 1);
  EXPECT_EQ(config.moe.num_experts, 256);
  EXPECT_EQ(config.moe.num_shared_experts, 1);
  EXPECT_EQ(config.moe.expert_intermediate_size, 2048);
  EXPECT_EQ(config.moe.shared_intermediate_size, 2048);
  const GatingConfig& gating = config.moe.gating;
  EXPECT_EQ(gating.scoring, ScoringFunc::kSigmoid);
  EXPECT_EQ(gating.method, TopkMethod::kNoAuxTc);
  EXPECT_EQ(gating.num_groups, 8);
  EXPECT_EQ(gating.topk_groups, 4);
  EXPECT_EQ(gating.top_k, 8);
  EXPECT_TRUE(gating.renormalize);
  EXPECT_EQ(gating.scale, 2.5f);
  EXPECT_TRUE(gating.correction_bias);
  EXPECT_EQ(config.moe_layers.size(), 58u);
  EXPECT_FALSE(config.IsMoeLayer(LayerId(2)));
  EXPECT_TRUE(config.IsMoeLayer(LayerId(3)));
  EXPECT_TRUE(config.IsMoeLayer(LayerId(61))) << "the multi-token-prediction layer";
  EXPECT_FALSE(config.IsMoeLayer(LayerId(62)));
  ASSERT_TRUE(config.fp8.has_value());
  EXPECT_EQ(config.fp8->block_rows, 128);
  EXPECT_THAT(config.eos_token_ids, ElementsAre(1));
  EXPECT_EQ(config.bos_token_id, 0);
}

TEST(ConfigTest, DeepSeekV2) {
  const ModelConfig config = Parse(testing::kDeepSeekV2Config);
  EXPECT_EQ(config.family, Family::kDeepSeekV2);
  EXPECT_NEAR(config.attention.softmax_scale, 0.11472139, 1e-8);
  EXPECT_EQ(config.rope.attention_factor, 1);
  const GatingConfig& gating = config.moe.gating;
  EXPECT_EQ(gating.scoring, ScoringFunc::kSoftmax);
  EXPECT_EQ(gating.method, TopkMethod::kGroupLimitedGreedy);
  EXPECT_EQ(gating.num_groups, 8);
  EXPECT_EQ(gating.topk_groups, 3);
  EXPECT_FALSE(gating.renormalize);
  EXPECT_FALSE(gating.correction_bias);
  EXPECT_EQ(gating.scale, 16.0f);
  EXPECT_EQ(config.moe.shared_intermediate_size, 2 * 1536);
  EXPECT_EQ(config.moe_layers.size(), 59u);
  EXPECT_FALSE(config.fp8.has_value());
}

TEST(ConfigTest, DeepSeekV2NormalisesOrScalesButNeverBoth) {
  const ModelConfig config = Parse(With(testing::kDeepSeekV2Config, "/norm_topk_prob", true));
  EXPECT_TRUE(config.moe.gating.renormalize);
  EXPECT_EQ(config.moe.gating.scale, 1.0f);
}

TEST(ConfigTest, DeepSeekV2Lite) {
  const ModelConfig config = Parse(testing::kDeepSeekV2LiteConfig);
  EXPECT_EQ(config.attention.q_lora_rank, 0);
  EXPECT_EQ(config.attention.num_heads, 16);
  EXPECT_NEAR(config.attention.softmax_scale, 0.11472139, 1e-8);
  EXPECT_EQ(config.moe.gating.method, TopkMethod::kGreedy);
  EXPECT_EQ(config.moe.gating.num_groups, 1);
  EXPECT_EQ(config.moe.gating.top_k, 6);
  EXPECT_EQ(config.moe_layers.front(), LayerId(1));
}

TEST(ConfigTest, DerivativeOfDeepSeekV3KeepsItsOwnNumbers) {
  const ModelConfig config = Parse(testing::kKimiK2Config);
  EXPECT_EQ(config.family, Family::kDeepSeekV3);
  EXPECT_EQ(config.model_type, "kimi_k2");
  EXPECT_EQ(config.moe.num_experts, 384);
  EXPECT_EQ(config.moe.gating.num_groups, 1);
  EXPECT_EQ(config.moe.gating.topk_groups, 1);
  EXPECT_EQ(config.moe.gating.scale, 2.827f);
  EXPECT_EQ(config.rope.theta, 50000);
  EXPECT_EQ(config.rope.yarn->beta_fast, 1);
  EXPECT_THAT(config.fp8->modules_to_not_convert, ElementsAre("lm_head"));
}

TEST(ConfigTest, Qwen3InBothGenerationsOfKeys) {
  for (const char* json : {testing::kQwen3MoeConfig, testing::kQwen3MoeNewKeysConfig}) {
    const ModelConfig config = Parse(json);
    EXPECT_EQ(config.family, Family::kQwen3Moe);
    EXPECT_EQ(config.attention.kind, AttentionKind::kGqa);
    EXPECT_EQ(config.attention.QueryDim(), 4096);
    EXPECT_EQ(config.attention.KvDim(), 512);
    EXPECT_EQ(config.attention.qk_norm, QkNorm::kPerHead);
    EXPECT_DOUBLE_EQ(config.attention.softmax_scale, 1 / std::sqrt(128.0));
    EXPECT_EQ(config.rope.theta, 1e6);
    EXPECT_EQ(config.rope.layout, RopeLayout::kHalf);
    EXPECT_FALSE(config.rope.yarn.has_value());
    EXPECT_EQ(config.moe.num_experts, 128);
    EXPECT_TRUE(config.moe.gating.renormalize);
    EXPECT_EQ(config.moe_layers.size(), 48u);
    EXPECT_EQ(config.dense_intermediate_size, 0);
    EXPECT_EQ(config.torch_dtype, "bfloat16");
    EXPECT_EQ(config.eos_token_ids.front(), 151645);
  }
  EXPECT_THAT(Parse(testing::kQwen3MoeNewKeysConfig).eos_token_ids, ElementsAre(151645, 151643));
}

TEST(ConfigTest, Qwen3DenseLayers) {
  const ModelConfig listed = Parse(With(testing::kQwen3MoeConfig, "/mlp_only_layers", {0, 2}));
  EXPECT_FALSE(listed.IsMoeLayer(LayerId(0)));
  EXPECT_TRUE(listed.IsMoeLayer(LayerId(1)));
  EXPECT_FALSE(listed.IsMoeLayer(LayerId(2)));
  EXPECT_EQ(listed.dense_intermediate_size, 6144);
  const ModelConfig stepped = Parse(With(testing::kQwen3MoeConfig, "/decoder_sparse_step", 2));
  EXPECT_FALSE(stepped.IsMoeLayer(LayerId(0)));
  EXPECT_TRUE(stepped.IsMoeLayer(LayerId(1)));
  EXPECT_EQ(stepped.moe_layers.size(), 24u);
}

TEST(ConfigTest, YarnOutsideDeepSeekScalesCosAndSin) {
  const ModelConfig config = Parse(
      With(testing::kQwen3MoeConfig, "/rope_scaling",
           {{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 32768}}));
  EXPECT_DOUBLE_EQ(config.rope.attention_factor, 0.1 * std::log(4.0) + 1);
  EXPECT_DOUBLE_EQ(config.attention.softmax_scale, 1 / std::sqrt(128.0));
  EXPECT_EQ(config.max_position, 131072);
}

TEST(ConfigTest, Mixtral) {
  const ModelConfig config = Parse(testing::kMixtralConfig);
  EXPECT_EQ(config.family, Family::kMixtral);
  EXPECT_EQ(config.attention.head_dim, 128);
  EXPECT_EQ(config.attention.num_kv_heads, 8);
  EXPECT_EQ(config.attention.qk_norm, QkNorm::kNone);
  EXPECT_EQ(config.moe.expert_intermediate_size, 14336);
  EXPECT_TRUE(config.moe.gating.renormalize);
  EXPECT_EQ(config.rms_norm_eps, 1e-5f);
}

TEST(ConfigTest, Olmoe) {
  const ModelConfig config = Parse(testing::kOlmoeConfig);
  EXPECT_EQ(config.family, Family::kOlmoe);
  EXPECT_EQ(config.attention.qk_norm, QkNorm::kFullProjection);
  EXPECT_FALSE(config.attention.clip_qkv.has_value());
  EXPECT_FALSE(config.moe.gating.renormalize);
  EXPECT_FALSE(config.bos_token_id.has_value());
  EXPECT_EQ(config.pad_token_id, 1);
  EXPECT_EQ(Parse(With(testing::kOlmoeConfig, "/clip_qkv", 8.0)).attention.clip_qkv, 8.0f);
}

TEST(ConfigTest, ModelTypeDecidesWithoutArchitectures) {
  EXPECT_EQ(Parse(Without(testing::kMixtralConfig, "architectures")).family, Family::kMixtral);
}

TEST(ConfigTest, UnknownModelListsWhatIsSupported) {
  nlohmann::json object = nlohmann::json::parse(testing::kMixtralConfig);
  object["architectures"] = {"GptOssForCausalLM"};
  object["model_type"] = "gpt_oss";
  const absl::Status status = ParseConfig(object.dump(), kPath).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  for (const char* text : {kPath, "gpt_oss", "deepseek_v3", "qwen3_moe", "mixtral", "olmoe"}) {
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
  }
}

struct BadValue {
  const char* json;
  const char* pointer;
  nlohmann::json value;
  absl::StatusCode code = absl::StatusCode::kInvalidArgument;
};

TEST(ConfigTest, BadAndUnsupportedValuesNameTheKey) {
  constexpr auto kUnsupported = absl::StatusCode::kUnimplemented;
  const char* const v3 = testing::kDeepSeekV3Config;
  const char* const v2 = testing::kDeepSeekV2Config;
  const char* const qwen = testing::kQwen3MoeConfig;
  const char* const mixtral = testing::kMixtralConfig;
  const std::vector<BadValue> cases = {
      {v3, "/hidden_act", "gelu", kUnsupported},
      {v3, "/attention_bias", true, kUnsupported},
      {v3, "/scoring_func", "softmax", kUnsupported},
      {v2, "/scoring_func", "sigmoid", kUnsupported},
      {v3, "/topk_method", "greedy", kUnsupported},
      {v2, "/topk_method", "noaux_tc", kUnsupported},
      {v3, "/rope_scaling/type", "linear", kUnsupported},
      {v3, "/rope_scaling/truncate", false, kUnsupported},
      {qwen, "/rope_scaling", {{"rope_type", "llama3"}}, kUnsupported},
      {v3, "/quantization_config/quant_method", "gptq", kUnsupported},
      {v3, "/quantization_config/weight_block_size", nullptr, kUnsupported},
      {v3, "/quantization_config/fmt", "e5m2", kUnsupported},
      {mixtral, "/sliding_window", 4096, kUnsupported},
      {qwen, "/layer_types", {"sliding_attention"}, kUnsupported},
      {mixtral, "/partial_rotary_factor", 0.5, kUnsupported},
      {qwen, "/clip_qkv", 8.0, kUnsupported},
      {v3, "/first_k_dense_replace", 61, kUnsupported},
      {v3, "/hidden_size", nullptr},
      {v3, "/hidden_size", 0},
      {v3, "/hidden_size", -1},
      {v3, "/hidden_size", "7168"},
      {v3, "/hidden_size", 7168.5},
      {v3, "/hidden_size", 18446744073709551615u},
      {v3, "/num_hidden_layers", 1 << 30},
      {v3, "/n_routed_experts", 250},
      {v3, "/n_routed_experts", 8},
      {v3, "/num_experts_per_tok", 257},
      {v3, "/topk_group", 9},
      {v3, "/qk_rope_head_dim", 63},
      {v3, "/moe_layer_freq", 0},
      {v3, "/routed_scaling_factor", nullptr},
      {v3, "/rms_norm_eps", 0},
      {v3, "/rope_theta", nullptr},
      {v3, "/rope_scaling/factor", 0},
      {v3, "/rope_scaling", "yarn"},
      {v3, "/tie_word_embeddings", "no"},
      {v3, "/eos_token_id", -1},
      {v3, "/eos_token_id", {1, "2"}},
      {v3, "/architectures", "DeepseekV3ForCausalLM"},
      {qwen, "/num_key_value_heads", 5},
      {qwen, "/head_dim", 127},
      {qwen, "/mlp_only_layers", 3},
      {mixtral, "/num_attention_heads", 33},
      {mixtral, "/num_local_experts", nullptr},
  };
  for (const BadValue& bad : cases) {
    SCOPED_TRACE(std::string(bad.pointer) + " = " + bad.value.dump());
    const absl::Status status = ParseConfig(With(bad.json, bad.pointer, bad.value), kPath).status();
    EXPECT_EQ(status.code(), bad.code) << status;
    EXPECT_TRUE(absl::StartsWith(status.message(), kPath)) << status;
  }
}

TEST(ConfigTest, MessageNamesTheKeyInsideAnObject) {
  const absl::Status status =
      ParseConfig(With(testing::kDeepSeekV3Config, "/rope_scaling/type", "linear"), kPath).status();
  EXPECT_EQ(status.message(),
            "dir/config.json: rope_scaling: type: 'linear' is not supported, only 'yarn'");
}

TEST(ConfigTest, HarmlessValuesAreAccepted) {
  Parse(With(testing::kMixtralConfig, "/sliding_window", 32768));
  Parse(With(testing::kQwen3MoeConfig, "/sliding_window", 4096));
  Parse(With(testing::kDeepSeekV3Config, "/some_future_key", {{"a", 1}}));
  EXPECT_TRUE(
      Parse(With(testing::kDeepSeekV3Config, "/eos_token_id", nullptr)).eos_token_ids.empty());
  EXPECT_FALSE(Parse(With(testing::kOlmoeConfig, "/pad_token_id", -1)).pad_token_id.has_value());
}

TEST(ConfigTest, EveryTruncationIsAnErrorThatNamesTheFile) {
  const std::string json = testing::kDeepSeekV3Config;
  for (std::size_t length = 0; length < json.size(); ++length) {
    const absl::Status status = ParseConfig(json.substr(0, length), kPath).status();
    ASSERT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << length;
    ASSERT_TRUE(absl::StartsWith(status.message(), kPath)) << status;
  }
}

}  // namespace
}  // namespace moesaic::model
