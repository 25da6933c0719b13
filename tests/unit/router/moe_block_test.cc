#include "router/engine/moe_block.h"

#include <gtest/gtest.h>

#include <vector>

namespace moesaic::router {
namespace {

using Ints = std::vector<std::int32_t>;

Ints Offsets(const Ints& expert_ids, int top_k, int unit_size) {
  Ints offsets = {7, 7};
  SlotOffsets(expert_ids, top_k, unit_size, offsets);
  return offsets;
}

TEST(SlotOffsetsTest, ASlotPerDistinctUnitOfAToken) {
  EXPECT_EQ(Offsets({0, 1, 2, 3}, /*top_k=*/2, /*unit_size=*/1), (Ints{0, 2, 4}));
  EXPECT_EQ(Offsets({0, 1, 1, 2}, 2, 2), (Ints{0, 1, 3}));
  EXPECT_EQ(Offsets({0, 3, 5, 7}, 4, 4), (Ints{0, 2}));
}

TEST(SlotOffsetsTest, SkippedEntriesHaveNone) {
  EXPECT_EQ(Offsets({-1, -1, 2, 3, -1, 4}, 2, 1), (Ints{0, 0, 2, 3}));
  EXPECT_EQ(Offsets({}, 2, 1), Ints{0});
}

TEST(GatingParamsTest, CarryTheModelsRule) {
  model::ModelConfig config;
  config.moe.num_experts = 16;
  config.moe.gating = {.scoring = model::ScoringFunc::kSigmoid,
                       .method = model::TopkMethod::kNoAuxTc,
                       .num_groups = 4,
                       .topk_groups = 2,
                       .top_k = 4,
                       .renormalize = true,
                       .renormalize_epsilon = 1e-20f,
                       .scale = 2.5f};
  const kernels::GatingParams params = GatingParamsOf(config);
  EXPECT_EQ(params.scoring, kernels::GateScoring::kSigmoid);
  EXPECT_EQ(params.group_score, kernels::GroupScore::kTop2Sum);
  EXPECT_EQ(params.experts, 16);
  EXPECT_EQ(params.groups, 4);
  EXPECT_EQ(params.topk_groups, 2);
  EXPECT_EQ(params.top_k, 4);
  EXPECT_TRUE(params.normalize);
  EXPECT_EQ(params.normalize_epsilon, 1e-20f);
  EXPECT_EQ(params.scale, 2.5f);
}

}  // namespace
}  // namespace moesaic::router
