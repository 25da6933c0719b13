#include "kernels/gating.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/testing/host_tensor.h"
#include "tests/testing/run_op.h"
#include "tests/testing/tensor_compare.h"

namespace moesaic::kernels {
namespace {

using base::DType;
using testing::BitsEqual;
using testing::HostTensor;

using Ids = std::vector<std::int32_t>;

/// A launch with everything its Args point to.
struct Case {
  Case(const GatingParams& params, const HostTensor& logits_in, const HostTensor* bias = nullptr,
       const Ids& forced_in = {})
      : forced(DType::kI32, {logits_in.view().dim(0), params.top_k}),
        ids(DType::kI32, {logits_in.view().dim(0), params.top_k}),
        weights(DType::kF32, {logits_in.view().dim(0), params.top_k}),
        by_weight(DType::kI32, {logits_in.view().dim(0), params.top_k}),
        invalid(DType::kU8, {logits_in.view().dim(0)}) {
    args.params = params;
    args.logits = logits_in;
    if (bias != nullptr) args.correction_bias = *bias;
    if (!forced_in.empty()) {
      std::copy(forced_in.begin(), forced_in.end(), forced.As<std::int32_t>());
      args.forced_ids = forced;
    }
    args.expert_ids = ids;
    args.weights = weights;
    args.ids_by_weight = by_weight;
    args.invalid = invalid;
  }

  absl::Status Run(int threads = 1) {
    return testing::RunOnHost(threads,
                              [&](base::Stream& stream) { return Launch(args, {}, stream); });
  }
  Ids Row(const HostTensor& tensor, int row) const {
    const std::int32_t* begin = tensor.As<std::int32_t>() + row * args.params.top_k;
    return {begin, begin + args.params.top_k};
  }
  std::vector<float> Weights(int row) const {
    const float* begin = weights.As<float>() + row * args.params.top_k;
    return {begin, begin + args.params.top_k};
  }

  HostTensor forced, ids, weights, by_weight, invalid;
  GatingArgs args;
};

HostTensor Logits(const std::vector<std::vector<float>>& rows) {
  HostTensor logits(DType::kF32, {static_cast<std::int64_t>(rows.size()),
                                  static_cast<std::int64_t>(rows[0].size())});
  float* out = logits.As<float>();
  for (const auto& row : rows) out = std::copy(row.begin(), row.end(), out);
  return logits;
}

GatingParams Softmax(int experts, int top_k) {
  GatingParams params;
  params.experts = experts;
  params.top_k = top_k;
  return params;
}

GatingParams DeepSeekV3(int experts, int groups, int topk_groups, int top_k) {
  GatingParams params = Softmax(experts, top_k);
  params.scoring = GateScoring::kSigmoid;
  params.groups = groups;
  params.topk_groups = topk_groups;
  params.group_score = GroupScore::kTop2Sum;
  params.normalize = true;
  params.normalize_epsilon = 1e-20f;
  params.scale = 2.5f;
  return params;
}

std::vector<GatingParams> AllRules() {
  GatingParams v2 = Softmax(160, 6);
  v2.groups = 8;
  v2.topk_groups = 3;
  v2.scale = 16;
  GatingParams qwen = Softmax(128, 8);
  qwen.normalize = true;
  return {DeepSeekV3(256, 8, 4, 8),
          DeepSeekV3(384, 1, 1, 8),
          v2,
          qwen,
          Softmax(64, 8),
          Softmax(7, 7),
          Softmax(1, 1)};
}

TEST(GatingTest, EveryTargetAndThreadCountHasTheBitsOfTheReference) {
  std::uint64_t seed = 1;
  for (const GatingParams& params : AllRules()) {
    for (const std::int64_t tokens : {0, 1, 37}) {
      const HostTensor logits =
          HostTensor::Random(DType::kF32, {tokens, params.experts}, ++seed, 4.0f);
      const HostTensor bias = HostTensor::Random(DType::kF32, {params.experts}, ++seed);
      const HostTensor* used = params.scoring == GateScoring::kSigmoid ? &bias : nullptr;
      Case expected(params, logits, used);
      ASSERT_TRUE(CanRun(expected.args).ok()) << CanRun(expected.args);
      GatingReference(expected.args);
      testing::ForEachTargetAndThreads([&](int threads) {
        Case actual(params, logits, used);
        ASSERT_TRUE(actual.Run(threads).ok());
        EXPECT_TRUE(BitsEqual(actual.ids, expected.ids));
        EXPECT_TRUE(BitsEqual(actual.weights, expected.weights));
        EXPECT_TRUE(BitsEqual(actual.by_weight, expected.by_weight));
        EXPECT_TRUE(BitsEqual(actual.invalid, expected.invalid));
      });
    }
  }
}

TEST(GatingTest, IdsAscendAndTheOtherOrderFollowsTheWeights) {
  const HostTensor logits = Logits({{1, 5, 0, 3, 4}});
  Case c(Softmax(5, 3), logits);
  ASSERT_TRUE(c.Run().ok());
  EXPECT_EQ(c.Row(c.ids, 0), (Ids{1, 3, 4}));
  EXPECT_EQ(c.Row(c.by_weight, 0), (Ids{1, 4, 3}));
  const double sum = std::exp(-4.0) + 1 + std::exp(-5.0) + std::exp(-2.0) + std::exp(-1.0);
  EXPECT_NEAR(c.Weights(0)[0], 1 / sum, 1e-6);
  EXPECT_NEAR(c.Weights(0)[1], std::exp(-2.0) / sum, 1e-6);
}

TEST(GatingTest, TiesGoToTheLowestIndex) {
  const HostTensor logits = Logits({{1, 2, 2, 2, 1, 2}, {0, 0, 0, 0, 0, 0}});
  Case c(Softmax(6, 2), logits);
  ASSERT_TRUE(c.Run().ok());
  EXPECT_EQ(c.Row(c.ids, 0), (Ids{1, 2}));
  EXPECT_EQ(c.Row(c.ids, 1), (Ids{0, 1}));
  EXPECT_EQ(c.Row(c.by_weight, 1), (Ids{0, 1}));
}

TEST(GatingTest, TheBiasSelectsButDoesNotWeigh) {
  GatingParams params = DeepSeekV3(4, 1, 1, 1);
  params.normalize = false;
  params.scale = 1;
  const HostTensor bias(DType::kF32, {4});
  bias.As<float>()[2] = 1;
  const HostTensor logits = Logits({{3, 0, -3, 0}});
  Case c(params, logits, &bias);
  ASSERT_TRUE(c.Run().ok());
  EXPECT_EQ(c.Row(c.ids, 0), (Ids{2}));
  EXPECT_NEAR(c.Weights(0)[0], 1 / (1 + std::exp(3.0)), 1e-6);
}

TEST(GatingTest, ExcludedGroupsLoseAlsoAgainstNegativeChoices) {
  // All choices are negative: masking with 0 instead of -inf would choose from the lost group.
  const HostTensor bias(DType::kF32, {4});
  std::fill_n(bias.As<float>(), 4, -2.0f);
  const HostTensor logits = Logits({{3, -4, 1, 1}});
  Case c(DeepSeekV3(4, 2, 1, 2), logits, &bias);
  ASSERT_TRUE(c.Run().ok());
  // Sigmoids .95 + .02 against .73 + .73.
  EXPECT_EQ(c.Row(c.ids, 0), (Ids{2, 3}));
  EXPECT_FLOAT_EQ(c.Weights(0)[0], 1.25f);
}

TEST(GatingTest, GroupsByTheirBestExpert) {
  GatingParams params = Softmax(4, 2);
  params.groups = 2;
  params.topk_groups = 1;
  const HostTensor logits = Logits({{3, -4, 1, 1}});
  Case c(params, logits);
  ASSERT_TRUE(c.Run().ok());
  EXPECT_EQ(c.Row(c.ids, 0), (Ids{0, 1}));
}

TEST(GatingTest, ForcedExpertsGetTheWeightsOfTheRule) {
  const HostTensor logits = Logits({{1, 5, 0, 3, 4}, {1, 5, 0, 3, 4}});
  GatingParams params = Softmax(5, 3);
  params.normalize = true;
  Case free(params, logits);
  ASSERT_TRUE(free.Run().ok());
  Case forced(params, logits, nullptr, {4, 1, 3, -1, 0, 0});
  ASSERT_TRUE(forced.Run().ok());
  EXPECT_TRUE(BitsEqual(forced.ids, free.ids)) << "row 0 replays the choice, row 1 is free";
  EXPECT_TRUE(BitsEqual(forced.weights, free.weights));
  Case other(params, logits, nullptr, {2, 0, 1, -1, 0, 0});
  ASSERT_TRUE(other.Run().ok());
  EXPECT_EQ(other.Row(other.ids, 0), (Ids{0, 1, 2}));
  GatingReference(forced.args);
  EXPECT_TRUE(BitsEqual(forced.weights, free.weights));
}

TEST(GatingTest, AnInvalidRowIsMarkedAndAlone) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const HostTensor logits = Logits({{1, 2, 3}, {1, nan, 3}, {inf, 0, 0}, {-inf, 0, 0}, {1, 2, 3}});
  for (const bool reference : {false, true}) {
    Case c(Softmax(3, 2), logits);
    if (reference) {
      GatingReference(c.args);
    } else {
      ASSERT_TRUE(c.Run().ok());
    }
    for (const int row : {1, 2, 3}) {
      EXPECT_EQ(c.invalid.As<std::uint8_t>()[row], 1);
      EXPECT_EQ(c.Row(c.ids, row), (Ids{-1, -1}));
      EXPECT_EQ(c.Row(c.by_weight, row), (Ids{-1, -1}));
      EXPECT_EQ(c.Weights(row), (std::vector<float>{0, 0}));
    }
    EXPECT_EQ(c.invalid.As<std::uint8_t>()[0], 0);
    EXPECT_EQ(c.Row(c.ids, 4), (Ids{1, 2}));
  }
}

TEST(GatingTest, ForcedIdsOutOfRangeOrRepeatedAreInvalid) {
  const HostTensor logits = Logits({{1, 2, 3}, {1, 2, 3}, {1, 2, 3}});
  for (const bool reference : {false, true}) {
    Case c(Softmax(3, 2), logits, nullptr, {0, 3, 1, 1, 2, -5});
    if (reference) {
      GatingReference(c.args);
    } else {
      ASSERT_TRUE(c.Run().ok());
    }
    for (int row = 0; row < 3; ++row) EXPECT_EQ(c.invalid.As<std::uint8_t>()[row], 1) << row;
  }
}

TEST(GatingTest, RefusesParametersThatDoNotFit) {
  const HostTensor logits(DType::kF32, {2, 8});
  const auto refused = [&](auto change) {
    Case c(DeepSeekV3(8, 2, 1, 2), logits);
    change(c.args);
    return CanRun(c.args).code() == absl::StatusCode::kInvalidArgument;
  };
  EXPECT_FALSE(refused([](auto&) {}));
  EXPECT_TRUE(refused([](auto& a) { a.params.top_k = 0; }));
  EXPECT_TRUE(refused([](auto& a) { a.params.top_k = 5; })) << "one group holds 4";
  EXPECT_TRUE(refused([](auto& a) { a.params.groups = 3; }));
  EXPECT_TRUE(refused([](auto& a) { a.params.groups = 0; }));
  EXPECT_TRUE(refused([](auto& a) { a.params.topk_groups = 3; }));
  EXPECT_TRUE(refused([](auto& a) { a.params.experts = 9; }));
  EXPECT_TRUE(refused([](auto& a) { a.params.experts = kMaxExperts + 1; }));
  EXPECT_TRUE(refused([](auto& a) { a.params.groups = a.params.topk_groups = 8; }));
  EXPECT_TRUE(refused([&](auto& a) { a.correction_bias = logits; }));
  EXPECT_TRUE(refused([&](auto& a) { a.forced_ids = logits; }));
  EXPECT_TRUE(refused([&](auto& a) { a.weights = logits; }));
}

}  // namespace
}  // namespace moesaic::kernels
