#include "model/inspect.h"

#include <algorithm>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/golden/golden.h"
#include "tests/unit/model/checkpoint_files.h"

namespace moesaic::model {
namespace {

using moesaic::testing::TempDir;
using moesaic::testing::TensorSpec;
using ::testing::HasSubstr;

TEST(InspectTest, EveryGoldenCheckpointIsRunnable) {
  for (const std::string& name : moesaic::testing::GoldenCheckpoints()) {
    const CheckpointSummary summary =
        InspectDirectory(moesaic::testing::GoldenDir() + "/" + name, 4);
    EXPECT_TRUE(summary.problems.empty()) << RenderSummary(summary);
    EXPECT_GT(summary.routed.parameters, 0);
    EXPECT_GE(summary.unused.bytes, 0);
    EXPECT_EQ(summary.unused.bytes > 0, name.starts_with("deepseek_v3")) << name;
  }
}

TEST(InspectTest, DemonstrationCheckpointIsRunnable) {
  const CheckpointSummary summary = InspectDirectory("models/tiny", 4);
  EXPECT_TRUE(summary.problems.empty()) << RenderSummary(summary);
  EXPECT_EQ(summary.unused.bytes, 0);
}

TEST(InspectTest, CountsDeepSeekV3) {
  const CheckpointSummary summary =
      InspectDirectory(moesaic::testing::GoldenDir() + "/deepseek_v3", 3);
  constexpr std::int64_t kExpert = 3 * 48 * 96;
  EXPECT_EQ(summary.architecture, "DeepseekV3ForCausalLM");
  EXPECT_EQ(summary.weight_format, "bf16");
  EXPECT_EQ(summary.moe_layers, 2);
  EXPECT_EQ(summary.routed.parameters, 2 * 16 * kExpert);
  EXPECT_EQ(summary.shared.parameters, 2 * kExpert);
  EXPECT_EQ(summary.dense_mlp.parameters, 3 * 160 * 96);
  EXPECT_EQ(summary.embedding.parameters, 259 * 96);
  EXPECT_EQ(summary.head.bytes, 259 * 96 * 2);
  EXPECT_EQ(summary.gates.parameters, 2 * (16 * 96 + 16));
  EXPECT_EQ(summary.active_parameters, summary.total.parameters - 2 * 12 * kExpert - 259 * 96 + 96);
  EXPECT_EQ(summary.units, 2 * 6) << "16 experts in units of 3: five full ones and one of 1";
  EXPECT_EQ(summary.bytes_per_unit, 3 * kExpert * 2);
}

TEST(InspectTest, UnitLargerThanALayer) {
  const CheckpointSummary summary =
      InspectDirectory(moesaic::testing::GoldenDir() + "/mixtral", 100);
  EXPECT_EQ(summary.units, 3);
  EXPECT_EQ(summary.bytes_per_unit, summary.routed.bytes / 3);
}

TEST(InspectTest, NamesWhatIsMissing) {
  const TempDir dir;
  std::vector<TensorSpec> tensors = moesaic::testing::SmallOlmoeTensors();
  std::erase_if(tensors, [](const TensorSpec& tensor) {
    return tensor.name.find("experts.1.down_proj") != std::string::npos;
  });
  dir.Write("config.json", moesaic::testing::SmallOlmoeConfig());
  dir.Write("model.safetensors", moesaic::testing::Safetensors(tensors));
  const CheckpointSummary summary = InspectDirectory(dir.path(), 1);
  ASSERT_EQ(summary.problems.size(), 1u);
  EXPECT_THAT(summary.problems[0], HasSubstr("experts.1.down_proj.weight"));
  EXPECT_THAT(RenderSummary(summary), HasSubstr("runnable       no"));
}

TEST(InspectTest, ManyProblemsAreCutShort) {
  const TempDir dir;
  dir.Write("config.json", moesaic::testing::SmallOlmoeConfig());
  dir.Write("model.safetensors", moesaic::testing::Safetensors({{"other", "F32", {1}}}));
  const CheckpointSummary summary = InspectDirectory(dir.path(), 1);
  EXPECT_EQ(summary.problems.size(), 8u) << "embedding, norm, head, and the layer's five roles";
}

TEST(InspectTest, WhatCannotBeOpenedSaysWhy) {
  const TempDir dir;
  dir.Write("config.json", R"({"model_type": "gpt_oss"})");
  const CheckpointSummary summary = InspectDirectory(dir.path(), 1);
  ASSERT_EQ(summary.problems.size(), 1u);
  EXPECT_THAT(summary.problems[0], HasSubstr("gpt_oss"));
  EXPECT_THAT(RenderSummary(summary), HasSubstr("supported are"));
}

TEST(InspectTest, RendersTheEssentials) {
  const std::string text =
      RenderSummary(InspectDirectory(moesaic::testing::GoldenDir() + "/olmoe", 4));
  for (const char* part : {"OlmoeForCausalLM", "bf16", "4096 tokens", "16 per MoE layer",
                           "units          12 of 4 experts", "runnable       yes"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

}  // namespace
}  // namespace moesaic::model
