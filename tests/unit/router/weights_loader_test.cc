#include "router/engine/weights_loader.h"

#include <gtest/gtest.h>

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

TEST(WeightsLoaderTest, RefusesAnotherComputeType) {
  auto checkpoint = model::Checkpoint::Open(GoldenCheckpointDir("olmoe"));
  ASSERT_TRUE(checkpoint.ok());
  base::ComputePool pool(1);
  EXPECT_EQ(LoadDenseWeights(**checkpoint, DType::kF16, pool, [](int, int) {}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace moesaic::router
