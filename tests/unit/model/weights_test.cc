#include "model/weights.h"

#include <algorithm>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/golden/golden.h"
#include "tests/unit/model/checkpoint_files.h"

namespace moesaic::model {
namespace {

using base::ExpertId;
using base::LayerId;
using moesaic::testing::GoldenDir;
using moesaic::testing::TempDir;
using moesaic::testing::TensorSpec;
using ::testing::HasSubstr;

std::unique_ptr<Checkpoint> OpenGolden(const std::string& name) {
  auto checkpoint = Checkpoint::Open(GoldenDir() + "/" + name);
  EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
  return checkpoint.ok() ? *std::move(checkpoint) : nullptr;
}

/// The same memory under another role: proof of the right name without repeating it.
void ExpectIs(const Checkpoint& checkpoint, const Weight& weight, const std::string& name) {
  const auto expected = checkpoint.Find(name);
  ASSERT_TRUE(expected.ok()) << expected.status();
  EXPECT_EQ(weight.tensor.data, expected->tensor.data) << name;
}

TEST(WeightMapTest, DeepSeekV3) {
  const auto checkpoint = OpenGolden("deepseek_v3");
  const WeightMap weights(*checkpoint);
  const auto mla = weights.Mla(LayerId(2));
  ASSERT_TRUE(mla.ok()) << mla.status();
  EXPECT_FALSE(mla->q_proj.has_value());
  ExpectIs(*checkpoint, *mla->q_b, "model.layers.2.self_attn.q_b_proj.weight");
  ExpectIs(*checkpoint, mla->kv_a, "model.layers.2.self_attn.kv_a_proj_with_mqa.weight");
  const auto gate = weights.Gate(LayerId(1));
  ASSERT_TRUE(gate.ok()) << gate.status();
  ASSERT_TRUE(gate->correction_bias.has_value());
  EXPECT_EQ(gate->correction_bias->tensor.dtype, base::DType::kF32);
  const auto shared = weights.SharedExperts(LayerId(1));
  ASSERT_TRUE(shared.ok() && shared->has_value());
  const auto expert = weights.RoutedExpert(LayerId(1), ExpertId(15));
  ASSERT_TRUE(expert.ok()) << expert.status();
  ExpectIs(*checkpoint, expert->down, "model.layers.1.mlp.experts.15.down_proj.weight");
  EXPECT_EQ(expert->bytes(), 3u * 48 * 96 * 2);
  const auto dense = weights.DenseMlp(LayerId(0));
  ASSERT_TRUE(dense.ok()) << dense.status();
  EXPECT_EQ(dense->up.tensor.dim(0), 160);
}

TEST(WeightMapTest, MultiTokenPredictionLayerHasTheSameNames) {
  const auto checkpoint = OpenGolden("deepseek_v3");
  const WeightMap weights(*checkpoint);
  EXPECT_TRUE(weights.Mla(LayerId(3)).ok());
  EXPECT_TRUE(weights.RoutedExpert(LayerId(3), ExpertId(0)).ok());
}

TEST(WeightMapTest, DeepSeekV2LiteProjectsQueriesDirectly) {
  const auto checkpoint = OpenGolden("deepseek_v2_lite");
  const auto mla = WeightMap(*checkpoint).Mla(LayerId(0));
  ASSERT_TRUE(mla.ok()) << mla.status();
  EXPECT_TRUE(mla->q_proj.has_value());
  EXPECT_FALSE(mla->q_a.has_value());
}

TEST(WeightMapTest, Fp8WeightsCarryTheirScales) {
  const auto checkpoint = OpenGolden("deepseek_v3_fp8");
  const WeightMap weights(*checkpoint);
  EXPECT_EQ(checkpoint->WeightFormat(), "fp8-128x128");
  const auto expert = weights.RoutedExpert(LayerId(1), ExpertId(0));
  ASSERT_TRUE(expert.ok()) << expert.status();
  EXPECT_EQ(expert->gate.tensor.dtype, base::DType::kF8E4M3);
  EXPECT_TRUE(expert->gate.scale.has_value());
  EXPECT_FALSE(weights.Embedding()->scale.has_value());
  // 224 rows are one block of 128 and a partial one of 96.
  const auto mla = weights.Mla(LayerId(0));
  ASSERT_TRUE(mla.ok()) << mla.status();
  EXPECT_EQ(mla->kv_a.tensor.dim(0), 256);
}

TEST(WeightMapTest, Qwen3NormsEachHead) {
  const auto checkpoint = OpenGolden("qwen3_moe");
  const auto gqa = WeightMap(*checkpoint).Gqa(LayerId(0));
  ASSERT_TRUE(gqa.ok()) << gqa.status();
  EXPECT_EQ(gqa->q_norm->tensor.dim(0), 32);
  EXPECT_EQ(gqa->k_proj.tensor.dim(0), 64);
}

TEST(WeightMapTest, OlmoeNormsTheWholeProjection) {
  const auto checkpoint = OpenGolden("olmoe");
  const auto gqa = WeightMap(*checkpoint).Gqa(LayerId(0));
  ASSERT_TRUE(gqa.ok()) << gqa.status();
  EXPECT_EQ(gqa->q_norm->tensor.dim(0), 96);
}

TEST(WeightMapTest, MixtralNames) {
  const auto checkpoint = OpenGolden("mixtral");
  const WeightMap weights(*checkpoint);
  const auto expert = weights.RoutedExpert(LayerId(2), ExpertId(7));
  ASSERT_TRUE(expert.ok()) << expert.status();
  const std::string prefix = "model.layers.2.block_sparse_moe.experts.7.";
  ExpectIs(*checkpoint, expert->gate, prefix + "w1.weight");
  ExpectIs(*checkpoint, expert->up, prefix + "w3.weight");
  ExpectIs(*checkpoint, expert->down, prefix + "w2.weight");
  EXPECT_TRUE(weights.Gate(LayerId(0)).ok());
  const auto shared = weights.SharedExperts(LayerId(0));
  ASSERT_TRUE(shared.ok());
  EXPECT_FALSE(shared->has_value());
  EXPECT_FALSE(weights.Gqa(LayerId(0))->q_norm.has_value());
}

TEST(WeightMapTest, ExpertsThatDoNotExist) {
  const auto checkpoint = OpenGolden("qwen3_moe_dense1");
  const WeightMap weights(*checkpoint);
  for (const auto& [layer, expert] : {std::pair(0u, 16u), {1u, 0u}, {3u, 0u}, {0u, ~0u}}) {
    EXPECT_EQ(weights.RoutedExpert(LayerId(layer), ExpertId(expert)).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
  EXPECT_TRUE(weights.DenseMlp(LayerId(1)).ok());
}

TEST(WeightMapTest, TiedHeadIsTheEmbedding) {
  const TempDir dir;
  nlohmann::json config = nlohmann::json::parse(moesaic::testing::SmallOlmoeConfig());
  config["tie_word_embeddings"] = true;
  std::vector<TensorSpec> tensors = moesaic::testing::SmallOlmoeTensors();
  std::erase_if(tensors, [](const TensorSpec& tensor) { return tensor.name == "lm_head.weight"; });
  dir.Write("config.json", config.dump());
  dir.Write("model.safetensors", moesaic::testing::Safetensors(tensors));
  const auto checkpoint = Checkpoint::Open(dir.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto head = WeightMap(**checkpoint).LmHead();
  ASSERT_TRUE(head.ok()) << head.status();
  ExpectIs(**checkpoint, *head, "model.embed_tokens.weight");
}

TEST(WeightMapTest, WrongShapeIsFoundByTheConfig) {
  const TempDir dir;
  std::vector<TensorSpec> tensors = moesaic::testing::SmallOlmoeTensors();
  for (TensorSpec& tensor : tensors) {
    if (tensor.name == "model.layers.0.mlp.experts.1.up_proj.weight") tensor.shape = {8, 4};
  }
  dir.Write("config.json", moesaic::testing::SmallOlmoeConfig());
  dir.Write("model.safetensors", moesaic::testing::Safetensors(tensors));
  const auto checkpoint = Checkpoint::Open(dir.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const WeightMap weights(**checkpoint);
  EXPECT_TRUE(weights.RoutedExpert(LayerId(0), ExpertId(0)).ok());
  const absl::Status status = weights.RoutedExpert(LayerId(0), ExpertId(1)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("experts.1.up_proj"));
}

}  // namespace
}  // namespace moesaic::model
