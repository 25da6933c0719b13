#include "kernels/sampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <vector>

#include "kernels/simd.h"
#include "tests/testing/host_tensor.h"

namespace moesaic::kernels {
namespace {

using testing::HostTensor;
using Logits = std::vector<float>;

constexpr float kInf = std::numeric_limits<float>::infinity();

absl::StatusOr<std::int32_t> Sample(const SamplingInput& input, Logits logits) {
  return SampleToken(input, absl::MakeSpan(logits));
}

/// Tokens drawn at positions 0 … draws - 1 and how often.
std::map<std::int32_t, int> Draw(SamplingInput input, const Logits& logits, int draws) {
  std::map<std::int32_t, int> counts;
  for (int i = 0; i < draws; ++i) {
    input.key.position = static_cast<std::uint64_t>(i);
    const auto token = Sample(input, logits);
    EXPECT_TRUE(token.ok()) << token.status();
    if (token.ok()) ++counts[*token];
  }
  return counts;
}

std::set<std::int32_t> Support(const SamplingInput& input, const Logits& logits) {
  std::set<std::int32_t> tokens;
  for (const auto& [token, count] : Draw(input, logits, 2000)) tokens.insert(token);
  return tokens;
}

SamplingInput WithParams(const SamplingParams& params) {
  SamplingInput input;
  input.params = params;
  input.key.seed = 7;
  return input;
}

TEST(SamplingTest, GreedyTakesTheLargestAndOfEqualsTheLowest) {
  const SamplingInput greedy = WithParams({.temperature = 0});
  EXPECT_EQ(*Sample(greedy, {0, 2, 1, 2}), 1);
  EXPECT_EQ(*Sample(greedy, {-5}), 0);
}

TEST(SamplingTest, FrequenciesFollowTheDistribution) {
  const Logits logits = {0, 1, 2, -1};
  constexpr int kDraws = 20000;
  for (const float temperature : {0.5f, 1.0f, 2.0f}) {
    double sum = 0;
    for (const float x : logits) sum += std::exp(x / temperature);
    const auto counts = Draw(WithParams({.temperature = temperature}), logits, kDraws);
    for (const auto& [token, count] : counts) {
      const double p = std::exp(logits[static_cast<std::size_t>(token)] / temperature) / sum;
      EXPECT_NEAR(count, kDraws * p, 5 * std::sqrt(kDraws * p * (1 - p))) << token;
    }
  }
}

TEST(SamplingTest, TheFiltersKeepWhatTheySay) {
  // Probabilities .4 .3 .2 .1, shuffled: tokens 2, 0, 3, 1.
  const Logits logits = {std::log(.3f), std::log(.1f), std::log(.4f), std::log(.2f)};
  using Tokens = std::set<std::int32_t>;
  EXPECT_EQ(Support(WithParams({}), logits), (Tokens{0, 1, 2, 3}));
  EXPECT_EQ(Support(WithParams({.top_k = 2}), logits), (Tokens{0, 2}));
  EXPECT_EQ(Support(WithParams({.top_k = 9}), logits), (Tokens{0, 1, 2, 3}));
  EXPECT_EQ(Support(WithParams({.top_p = 0.39f}), logits), (Tokens{2}));
  EXPECT_EQ(Support(WithParams({.top_p = 0.65f}), logits), (Tokens{0, 2}));
  EXPECT_EQ(Support(WithParams({.top_p = 0.75f}), logits), (Tokens{0, 2, 3}));
  EXPECT_EQ(Support(WithParams({.min_p = 0.45f}), logits), (Tokens{0, 2, 3}));
  EXPECT_EQ(Support(WithParams({.min_p = 1}), logits), (Tokens{2}));
  // top_p counts what top_k left: .4 / .7 is below .6.
  EXPECT_EQ(Support(WithParams({.top_k = 2, .top_p = 0.6f}), logits), (Tokens{0, 2}));
}

TEST(SamplingTest, FiltersBreakTiesByTheLowestId) {
  const Logits equal(5, 1.0f);
  EXPECT_EQ(Support(WithParams({.top_k = 2}), equal), (std::set<std::int32_t>{0, 1}));
  EXPECT_EQ(Support(WithParams({.top_p = 0.5f}), equal), (std::set<std::int32_t>{0, 1, 2}));
}

TEST(SamplingTest, ATinyTemperatureIsGreedyAndAHugeOneUniform) {
  const Logits logits = {3, 1, 3.001f};
  EXPECT_EQ(Support(WithParams({.temperature = 1e-40f}), logits), (std::set<std::int32_t>{2}));
  const auto counts = Draw(WithParams({.temperature = 1e30f}), logits, 3000);
  for (const auto& [token, count] : counts) EXPECT_NEAR(count, 1000, 150) << token;
}

TEST(SamplingTest, RandomnessIsAFunctionOfSeedChoiceAndPosition) {
  const HostTensor row = HostTensor::Random(base::DType::kF32, {1, 500}, 3, 3.0f);
  const Logits logits(row.As<float>(), row.As<float>() + 500);
  SamplingInput input = WithParams({});
  int changed = 0;
  for (std::uint64_t position = 0; position < 50; ++position) {
    input.key = {.seed = 1, .choice = 0, .position = position};
    const std::int32_t token = *Sample(input, logits);
    EXPECT_EQ(*Sample(input, logits), token);
    input.key.choice = 1;
    changed += *Sample(input, logits) != token;
  }
  EXPECT_GT(changed, 40);
}

TEST(SamplingTest, EveryTargetDrawsTheSameTokens) {
  const HostTensor row = HostTensor::Random(base::DType::kF32, {1, 4099}, 8, 5.0f);
  const Logits logits(row.As<float>(), row.As<float>() + 4099);
  std::vector<std::vector<std::int32_t>> drawn;
  for (const std::string& target : SupportedSimdTargets()) {
    ASSERT_TRUE(SetMaxSimdTarget(target).ok());
    drawn.emplace_back();
    for (const SamplingParams& params :
         {SamplingParams{}, SamplingParams{.temperature = 0.7f, .top_p = 0.9f},
          SamplingParams{.temperature = 1.3f, .top_k = 50, .min_p = 0.01f}}) {
      SamplingInput input = WithParams(params);
      for (input.key.position = 0; input.key.position < 20; ++input.key.position) {
        drawn.back().push_back(*Sample(input, logits));
      }
    }
  }
  ASSERT_TRUE(SetMaxSimdTarget("auto").ok());
  for (const auto& tokens : drawn) EXPECT_EQ(tokens, drawn[0]);
}

TEST(SamplingTest, PenaltiesCountWhatWasSaid) {
  TokenHistory history;
  history.AddPrompt({0, 1, 1, 99});
  history.AddGenerated(1);
  history.AddGenerated(1);
  history.AddGenerated(2);
  SamplingInput input =
      WithParams({.repetition_penalty = 2, .presence_penalty = 0.5f, .frequency_penalty = 0.25f});
  input.history = &history;
  Logits logits = {4, -4, 8, 1};
  AdjustLogits(input, absl::MakeSpan(logits));
  EXPECT_EQ(logits, (Logits{2, -8 - 2 * 0.25f - 0.5f, 4 - 0.25f - 0.5f, 1}));
}

TEST(SamplingTest, ForbiddenTokensAndBiases) {
  const std::vector<std::int32_t> forbidden = {2, -1, 50};
  const std::vector<LogitBias> bias = {{0, 10}, {2, 100}, {77, 1}};
  SamplingInput input = WithParams({.temperature = 0});
  input.forbidden = forbidden;
  input.logit_bias = bias;
  EXPECT_EQ(*Sample(input, {-5, 1, 9}), 0);
  Logits logits = {-5, 1, 9};
  AdjustLogits(input, absl::MakeSpan(logits));
  EXPECT_EQ(logits, (Logits{5, 1, -kInf}));
}

TEST(SamplingTest, BadLogitsAreAnErrorNotAToken) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const float temperature : {0.0f, 1.0f}) {
    const SamplingInput input = WithParams({.temperature = temperature});
    EXPECT_EQ(Sample(input, {0, nan, 1}).status().code(), absl::StatusCode::kOutOfRange);
    EXPECT_EQ(Sample(input, {0, kInf, 1}).status().code(), absl::StatusCode::kOutOfRange);
    EXPECT_EQ(Sample(input, {-kInf, -kInf}).status().code(), absl::StatusCode::kOutOfRange);
    EXPECT_EQ(Sample(input, {}).status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(*Sample(input, {-kInf, 0}), 1);
  }
}

TEST(SamplingTest, ParametersOutOfRangeAreRefused) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const SamplingParams& params :
       {SamplingParams{.temperature = -1}, SamplingParams{.temperature = nan},
        SamplingParams{.temperature = kInf}, SamplingParams{.top_k = -1},
        SamplingParams{.top_p = 0}, SamplingParams{.top_p = 1.5f}, SamplingParams{.top_p = nan},
        SamplingParams{.min_p = -0.1f}, SamplingParams{.min_p = 2},
        SamplingParams{.repetition_penalty = 0}, SamplingParams{.presence_penalty = kInf},
        SamplingParams{.frequency_penalty = nan}}) {
    EXPECT_EQ(Sample(WithParams(params), {1, 2}).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST(SamplingTest, ArgMaxOfNothingOrNaN) {
  EXPECT_EQ(ArgMax({}), -1);
  EXPECT_EQ(ArgMax({1, std::numeric_limits<float>::quiet_NaN(), 5}), -1);
  EXPECT_EQ(ArgMax({-kInf, -kInf}), 0);
}

}  // namespace
}  // namespace moesaic::kernels
