#include "router/engine/weights_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/unit/router/router_harness.h"

namespace moesaic::router {
namespace {

using base::DType;

model::Weight Of(DType dtype) {
  model::Weight weight;
  weight.tensor.dtype = dtype;
  return weight;
}

TEST(PackedStorageTest, KeepsWhatIsExactAndRoundsOnlyUnderBf16) {
  struct Case {
    std::vector<DType> parts;
    DType under_f32;
    DType under_bf16;
  };
  const Case cases[] = {
      {{DType::kBF16}, DType::kBF16, DType::kBF16},
      {{DType::kF32}, DType::kF32, DType::kBF16},
      {{DType::kF16}, DType::kF32, DType::kBF16},
      {{DType::kF8E4M3}, DType::kF8E4M3, DType::kF8E4M3},
      {{DType::kBF16, DType::kF32}, DType::kF32, DType::kBF16},
      {{DType::kF8E4M3, DType::kBF16}, DType::kF32, DType::kF32},
  };
  for (const Case& c : cases) {
    std::vector<model::Weight> parts;
    for (const DType dtype : c.parts) parts.push_back(Of(dtype));
    EXPECT_EQ(PackedStorage(parts, DType::kF32), c.under_f32);
    EXPECT_EQ(PackedStorage(parts, DType::kBF16), c.under_bf16);
  }
}

TEST(WeightsLoaderTest, LoadsWhatEveryTokenNeedsAndReportsEachLayer) {
  auto checkpoint = model::Checkpoint::Open(GoldenCheckpointDir("deepseek_v3_fp8"));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  base::ComputePool pool(2);
  std::vector<int> reported;
  const auto weights =
      LoadDenseWeights(**checkpoint, DType::kBF16, std::nullopt, pool, [&](int done, int all) {
        EXPECT_EQ(all, (*checkpoint)->config().num_layers);
        reported.push_back(done);
      });
  ASSERT_TRUE(weights.ok()) << weights.status();
  EXPECT_EQ(reported, (std::vector<int>{1, 2, 3}));
  ASSERT_EQ(weights->layers.size(), 3u);
  EXPECT_FALSE(weights->layers[0].gate.has_value());
  EXPECT_TRUE(weights->layers[1].gate.has_value());
  EXPECT_TRUE(weights->layers[1].mlp.has_value());  // the shared expert
  const auto& mla = std::get<MlaWeights>(weights->layers[0].attention);
  EXPECT_EQ(mla.a.storage(), DType::kF8E4M3);
  EXPECT_EQ(mla.kv_b.view.dtype, DType::kF8E4M3);
  EXPECT_NE(mla.kv_b_scales.view.data, nullptr);
  EXPECT_GT(weights->bytes, weights->lm_head.bytes());
}

TEST(WeightsLoaderTest, Int8ReplacesEveryLargeMatrixAndNothingElse) {
  base::ComputePool pool(2);
  for (const char* name : {"deepseek_v3_fp8", "olmoe"}) {
    SCOPED_TRACE(name);
    auto checkpoint = model::Checkpoint::Open(GoldenCheckpointDir(name));
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    const auto load = [&](std::optional<DType> weight_dtype) {
      auto weights =
          LoadDenseWeights(**checkpoint, DType::kBF16, weight_dtype, pool, [](int, int) {});
      EXPECT_TRUE(weights.ok()) << weights.status();
      return *std::move(weights);
    };
    const DenseWeights stored = load(std::nullopt);
    const DenseWeights int8 = load(DType::kI8);
    EXPECT_EQ(int8.lm_head.storage(), DType::kI8);
    EXPECT_EQ(int8.embedding.view.dtype, stored.embedding.view.dtype);
    for (std::size_t i = 0; i < int8.layers.size(); ++i) {
      const DenseLayer& layer = int8.layers[i];
      if (const auto* mla = std::get_if<MlaWeights>(&layer.attention)) {
        EXPECT_EQ(mla->a.storage(), DType::kI8);
        EXPECT_EQ(mla->q_b.storage(), DType::kI8);
        EXPECT_EQ(mla->o.storage(), DType::kI8);
        EXPECT_EQ(mla->kv_b.view.dtype,
                  std::get<MlaWeights>(stored.layers[i].attention).kv_b.view.dtype);
      } else {
        EXPECT_EQ(std::get<GqaWeights>(layer.attention).qkv.storage(), DType::kI8);
        EXPECT_EQ(std::get<GqaWeights>(layer.attention).o.storage(), DType::kI8);
      }
      if (layer.gate) {
        EXPECT_EQ(layer.gate->weight.storage(), stored.layers[i].gate->weight.storage());
      }
      if (layer.mlp) {
        EXPECT_EQ(layer.mlp->gate_up.storage(), DType::kI8);
        EXPECT_EQ(layer.mlp->down.storage(), DType::kI8);
      }
    }
  }
}

/// Copies a golden checkpoint and overwrites the first element of a bf16 tensor with NaN.
std::string CheckpointWithNan(const std::string& tensor) {
  namespace fs = std::filesystem;
  const fs::path target = fs::path(::testing::TempDir()) / ("moesaic_nan_" + tensor);
  fs::remove_all(target);
  fs::create_directories(target);
  for (const auto& file : fs::directory_iterator(GoldenCheckpointDir("olmoe"))) {
    const fs::path copy = target / file.path().filename();
    fs::copy_file(file.path(), copy);
    fs::permissions(copy, fs::perms::owner_write, fs::perm_options::add);
    if (!file.path().filename().string().starts_with("model-")) continue;
    const auto opened = model::SafetensorsFile::Open(copy);
    const model::TensorInfo* info = opened.ok() ? opened->Find(tensor) : nullptr;
    if (info == nullptr) continue;
    std::fstream bytes(copy, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(static_cast<std::streamoff>(8 + opened->header().size() + info->begin));
    bytes.write("\xC0\x7F", 2);
  }
  return target;
}

TEST(WeightsLoaderTest, NamesThePlaceOfAWeightThatIsNotFinite) {
  base::ComputePool pool(1);
  for (const char* tensor : {"model.layers.1.self_attn.o_proj.weight",
                             "model.layers.1.input_layernorm.weight", "lm_head.weight"}) {
    SCOPED_TRACE(tensor);
    auto checkpoint = model::Checkpoint::Open(CheckpointWithNan(tensor));
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    const auto weights =
        LoadDenseWeights(**checkpoint, DType::kF32, std::nullopt, pool, [](int, int) {});
    EXPECT_EQ(weights.status().code(), absl::StatusCode::kDataLoss) << weights.status();
    EXPECT_THAT(std::string(weights.status().message()),
                ::testing::ContainsRegex("layer 1: (attention|input_layernorm)|the head"));
  }
}

TEST(WeightsLoaderTest, RefusesAnotherComputeType) {
  auto checkpoint = model::Checkpoint::Open(GoldenCheckpointDir("olmoe"));
  ASSERT_TRUE(checkpoint.ok());
  base::ComputePool pool(1);
  EXPECT_EQ(LoadDenseWeights(**checkpoint, DType::kF16, std::nullopt, pool, [](int, int) {})
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(LoadDenseWeights(**checkpoint, DType::kF32, DType::kBF16, pool, [](int, int) {})
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace moesaic::router
