#include "model/checkpoint.h"

#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/unit/model/checkpoint_files.h"

namespace moesaic::model {
namespace {

using moesaic::testing::SmallOlmoeConfig;
using moesaic::testing::SmallOlmoeTensors;
using moesaic::testing::TempDir;
using moesaic::testing::TensorSpec;
using moesaic::testing::WriteSmallOlmoe;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kIndex[] = "model.safetensors.index.json";

/// SmallOlmoeConfig() that announces fp8 weights in blocks of 4 × 4.
std::string Fp8Config() {
  nlohmann::json config = nlohmann::json::parse(SmallOlmoeConfig());
  config["quantization_config"] = {{"quant_method", "fp8"}, {"weight_block_size", {4, 4}}};
  return config.dump();
}

absl::StatusOr<std::unique_ptr<Checkpoint>> OpenWith(const TempDir& dir, const std::string& config,
                                                     const std::vector<TensorSpec>& tensors) {
  dir.Write("config.json", config);
  dir.Write("model.safetensors", moesaic::testing::Safetensors(tensors));
  return Checkpoint::Open(dir.path());
}

TEST(CheckpointTest, OpensASingleFile) {
  const TempDir dir;
  WriteSmallOlmoe(dir);
  const auto checkpoint = Checkpoint::Open(dir.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ((*checkpoint)->config().family, Family::kOlmoe);
  EXPECT_EQ((*checkpoint)->files().size(), 1u);
  EXPECT_EQ((*checkpoint)->WeightFormat(), "bf16");
  EXPECT_THAT((*checkpoint)->eos_token_ids(), ElementsAre(1));
  const auto norm = (*checkpoint)->Find("model.norm.weight", {8});
  ASSERT_TRUE(norm.ok()) << norm.status();
  EXPECT_EQ(norm->tensor.dtype, base::DType::kBF16);
  EXPECT_EQ(norm->bytes(), 16u);
  EXPECT_FALSE(norm->scale.has_value());
}

TEST(CheckpointTest, GenerationConfigDecidesTheEndOfSequence) {
  const TempDir dir;
  WriteSmallOlmoe(dir);
  dir.Write("generation_config.json", R"({"eos_token_id": [3, 4]})");
  const auto checkpoint = Checkpoint::Open(dir.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_THAT((*checkpoint)->eos_token_ids(), ElementsAre(3, 4));
}

TEST(CheckpointTest, MissingTensorNamesTensorAndDirectory) {
  const TempDir dir;
  WriteSmallOlmoe(dir);
  const auto checkpoint = Checkpoint::Open(dir.path());
  ASSERT_TRUE(checkpoint.ok());
  const absl::Status status = (*checkpoint)->Find("nothing.weight").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("nothing.weight"));
  EXPECT_THAT(std::string(status.message()), HasSubstr(dir.path()));
}

TEST(CheckpointTest, WrongShapeNamesBothShapes) {
  const TempDir dir;
  WriteSmallOlmoe(dir);
  const auto checkpoint = Checkpoint::Open(dir.path());
  ASSERT_TRUE(checkpoint.ok());
  const absl::Status status = (*checkpoint)->Find("lm_head.weight", {8, 6}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("[6, 8]"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("[8, 6]"));
}

TEST(CheckpointTest, ScaleMaySitInAnotherFile) {
  const TempDir dir;
  dir.Write("config.json", Fp8Config());
  dir.Write("a.safetensors", moesaic::testing::Safetensors({{"x.weight", "F8_E4M3", {5, 8}}}));
  dir.Write("b.safetensors",
            moesaic::testing::Safetensors({{"x.weight_scale_inv", "F32", {2, 2}}}));
  dir.Write(kIndex, R"({"metadata": {"total_size": 1},
    "weight_map": {"x.weight": "a.safetensors", "x.weight_scale_inv": "b.safetensors"}})");
  const auto checkpoint = Checkpoint::Open(dir.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto weight = (*checkpoint)->Find("x.weight", {5, 8});
  ASSERT_TRUE(weight.ok()) << weight.status();
  ASSERT_TRUE(weight->scale.has_value());
  EXPECT_EQ(weight->scale->dim(0), 2);
  EXPECT_EQ(weight->block_rows, 4);
  EXPECT_EQ(weight->block_cols, 4);
  EXPECT_EQ(weight->bytes(), 5u * 8 + 4 * 4);
  EXPECT_EQ((*checkpoint)->WeightFormat(), "fp8-4x4");
}

TEST(CheckpointTest, BrokenScalesAreDataLossThatNamesTheTensor) {
  struct Case {
    std::string config;
    std::vector<TensorSpec> tensors;
    const char* says;
  };
  const TensorSpec weight = {"x.weight", "F8_E4M3", {5, 8}};
  const std::string scale = "x.weight_scale_inv";
  const Case cases[] = {
      {Fp8Config(), {weight}, "missing"},
      {Fp8Config(), {weight, {scale, "F32", {1, 2}}}, "[1, 2]"},
      {Fp8Config(), {weight, {scale, "F16", {2, 2}}}, "neither F32 nor BF16"},
      {Fp8Config(), {{"x.weight", "F8_E4M3", {8}}}, "matrix"},
      {SmallOlmoeConfig(), {weight, {scale, "F32", {2, 2}}}, "quantization_config"},
  };
  for (const Case& bad : cases) {
    SCOPED_TRACE(bad.says);
    const TempDir dir;
    const auto checkpoint = OpenWith(dir, bad.config, bad.tensors);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    const absl::Status status = (*checkpoint)->Find("x.weight").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()), HasSubstr("x.weight"));
    EXPECT_THAT(std::string(status.message()), HasSubstr(bad.says));
  }
}

TEST(CheckpointTest, MissingFilesAreNamed) {
  const TempDir dir;
  absl::Status status = Checkpoint::Open(dir.path()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("config.json"));
  dir.Write("config.json", SmallOlmoeConfig());
  status = Checkpoint::Open(dir.path()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("model.safetensors"));
  dir.Write(kIndex, R"({"weight_map": {"x": "gone.safetensors"}})");
  status = Checkpoint::Open(dir.path()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("gone.safetensors"));
}

TEST(CheckpointTest, IndexThatNamesATensorItsFileLacks) {
  const TempDir dir;
  WriteSmallOlmoe(dir);
  dir.Write(kIndex, R"({"weight_map": {"absent.weight": "model.safetensors"}})");
  const absl::Status status = Checkpoint::Open(dir.path()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("absent.weight"));
}

TEST(CheckpointTest, MalformedIndexNamesTheFile) {
  const TempDir dir;
  WriteSmallOlmoe(dir);
  for (const char* index :
       {"", "[]", "{}", R"({"weight_map": 1})", R"({"weight_map": {"x": 1}})",
        R"({"weight_map": {"x": ""}})", R"({"weight_map": {"x": "../secret.safetensors"}})",
        R"({"weight_map": {"x": "/etc/passwd"}})", R"({"weight_map": {"x": ".."}})"}) {
    const std::string path = dir.Write(kIndex, index);
    const absl::Status status = Checkpoint::Open(dir.path()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << index;
    EXPECT_TRUE(absl::StartsWith(status.message(), path)) << status;
  }
}

TEST(CheckpointTest, EveryTruncationOfAJsonFileIsAnErrorThatNamesIt) {
  const TempDir dir;
  WriteSmallOlmoe(dir);
  const std::pair<const char*, std::string> files[] = {
      {"config.json", SmallOlmoeConfig()},
      {"generation_config.json", R"({"do_sample": false, "eos_token_id": 1})"},
      {kIndex, R"({"metadata": {}, "weight_map": {"lm_head.weight": "model.safetensors"}})"},
  };
  for (const auto& [name, content] : files) {
    for (std::size_t length = 0; length < content.size(); ++length) {
      const std::string path = dir.Write(name, content.substr(0, length));
      const absl::Status status = Checkpoint::Open(dir.path()).status();
      ASSERT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name << " " << length;
      ASSERT_THAT(std::string(status.message()), HasSubstr(path));
    }
    dir.Write(name, content);
    ASSERT_TRUE(Checkpoint::Open(dir.path()).ok()) << name;
  }
}

TEST(CheckpointTest, LoadedWeightsAreCopies) {
  const TempDir dir;
  WriteSmallOlmoe(dir);
  const auto checkpoint = Checkpoint::Open(dir.path());
  ASSERT_TRUE(checkpoint.ok());
  const auto mapped = (*checkpoint)->Find("lm_head.weight");
  ASSERT_TRUE(mapped.ok());
  const auto loaded = (*checkpoint)->Load(*mapped);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_NE(loaded->weight.tensor.data, mapped->tensor.data);
  ASSERT_EQ(loaded->weight.bytes(), mapped->bytes());
  EXPECT_EQ(std::memcmp(loaded->weight.tensor.data, mapped->tensor.data, mapped->bytes()), 0);
}

TEST(CheckpointTest, ReleasedPagesAreReadAgain) {
  const TempDir dir;
  WriteSmallOlmoe(dir);
  const auto checkpoint = Checkpoint::Open(dir.path());
  ASSERT_TRUE(checkpoint.ok());
  const auto weight = (*checkpoint)->Find("lm_head.weight");
  ASSERT_TRUE(weight.ok());
  const std::string before(weight->tensor.As<char>(), weight->bytes());
  (*checkpoint)->ReleasePages(*weight);
  EXPECT_EQ(std::memcmp(before.data(), weight->tensor.data, before.size()), 0);
}

}  // namespace
}  // namespace moesaic::model
