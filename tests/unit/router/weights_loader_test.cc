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
  const auto weights = LoadDenseWeights(**checkpoint, DType::kBF16, pool, [&](int done, int all) {
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
    const auto weights = LoadDenseWeights(**checkpoint, DType::kF32, pool, [](int, int) {});
    EXPECT_EQ(weights.status().code(), absl::StatusCode::kDataLoss) << weights.status();
    EXPECT_THAT(std::string(weights.status().message()),
                ::testing::ContainsRegex("layer 1: (attention|input_layernorm)|the head"));
  }
}

TEST(WeightsLoaderTest, RefusesAnotherComputeType) {
  auto checkpoint = model::Checkpoint::Open(GoldenCheckpointDir("olmoe"));
  ASSERT_TRUE(checkpoint.ok());
  base::ComputePool pool(1);
  EXPECT_EQ(LoadDenseWeights(**checkpoint, DType::kF16, pool, [](int, int) {}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace moesaic::router
