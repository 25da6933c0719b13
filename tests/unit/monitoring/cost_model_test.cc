#include "monitoring/cost/cost_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace moesaic::monitoring {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;

TEST(CostModelTest, OpenCostsExample) {
  // $3.20 an hour, 12 M tokens in of which 0.8 M cached, 3 M out, half the time each.
  const TokenPrices prices = PricePerMillion(3.20, {.prompt_tokens = 12'000'000,
                                                    .cached_prompt_tokens = 800'000,
                                                    .generated_tokens = 3'000'000,
                                                    .prefill_seconds = 1800,
                                                    .decode_seconds = 1800});
  EXPECT_NEAR(prices.input.value(), 0.143, 0.0005);
  EXPECT_NEAR(prices.output.value(), 0.533, 0.0005);
  EXPECT_NEAR(prices.blended.value(), 0.213, 0.0005);
}

TEST(CostModelTest, DeepSeeksPublishedDay) {
  // "DeepSeek-V3/R1 Inference System Overview", 27 to 28 February 2025: on average 226.75 nodes of
  // 8 H800 at $2 an hour; 608 B tokens in, 342 B of them from the cache, 168 B out; at R1's prices
  // ($0.14 cached, $0.55 in, $2.19 out per million) that would earn $562,027 a day.
  const double cost = 226.75 * 8 * 2 * 24;
  EXPECT_NEAR(cost, 87'072, 0.5);
  EXPECT_NEAR(GpuPrice(16.0, 8).value() * 226.75 * 8 * 24, cost, 1e-6);
  const double revenue = 342e3 * 0.14 + (608e3 - 342e3) * 0.55 + 168e3 * 2.19;
  EXPECT_NEAR(revenue, 562'027, 562'027 * 0.0005);  // from rounded token counts
  EXPECT_NEAR(ProfitMargin(562'027, cost).value() * 100, 545, 0.5);
  const TokenPrices prices = PricePerMillion(cost, {.prompt_tokens = 608'000'000'000,
                                                    .cached_prompt_tokens = 342'000'000'000,
                                                    .generated_tokens = 168'000'000'000});
  // Without seconds: 266 B in against 168 B out that count 2.5-fold.
  EXPECT_NEAR(prices.input.value(), 87'072 / (266e3 + 2.5 * 168e3), 1e-9);
  EXPECT_NEAR(prices.output.value(), 2.5 * prices.input.value(), 1e-9);
  EXPECT_NEAR(prices.blended.value(), 87'072 / 776e3, 1e-9);
}

TEST(CostModelTest, UnknownStaysUnknown) {
  const TokenWork work = {.prompt_tokens = 1, .generated_tokens = 1, .prefill_seconds = 1};
  const TokenPrices prices = PricePerMillion(std::nullopt, work);
  EXPECT_FALSE(prices.input || prices.output || prices.blended);
  EXPECT_FALSE(GpuPrice(std::nullopt, 8));
  EXPECT_FALSE(IdleShare(std::nullopt, 1.0));
  EXPECT_FALSE(IdleShare(1.0, std::nullopt));
  EXPECT_FALSE(ImbalanceTax(std::nullopt, {1.0, 2.0}));
  EXPECT_FALSE(ExpertCost(std::nullopt, 1, 2));
  EXPECT_FALSE(MonthProjection(std::nullopt));
  EXPECT_FALSE(HeadroomCost(std::nullopt, 1, 2));
  EXPECT_FALSE(SpotSaving(1.0, std::nullopt));
  EXPECT_FALSE(SpotSaving(std::nullopt, 1.0));
  EXPECT_FALSE(EnergyCost(1, std::nullopt));
  EXPECT_FALSE(ProfitMargin(1, std::nullopt));
}

TEST(CostModelTest, NothingIsDividedByNothing) {
  EXPECT_FALSE(InputShare({}));
  const TokenPrices none = PricePerMillion(1.0, {});
  EXPECT_FALSE(none.input || none.output || none.blended);
  const TokenPrices all_cached = PricePerMillion(
      1.0,
      {.prompt_tokens = 5, .cached_prompt_tokens = 5, .generated_tokens = 5, .decode_seconds = 1});
  EXPECT_FALSE(all_cached.input);
  EXPECT_EQ(all_cached.output, 200'000);
  EXPECT_FALSE(GpuPrice(1.0, 0));
  EXPECT_FALSE(IdleShare(0.0, 0.0));
  EXPECT_FALSE(ExpertCost(1.0, 0, 0));
  EXPECT_FALSE(HeadroomCost(1.0, 0, 0));
  EXPECT_FALSE(ProfitMargin(1, 0.0));
  EXPECT_FALSE(ImbalanceTax(1.0, {}));
  EXPECT_EQ(ImbalanceTax(1.0, {0.0, 0.0}), 0.0);
}

TEST(CostModelTest, IdleAndSharedCostFollowDirectCost) {
  EXPECT_THAT(SplitByDirectCost(10, {1.0, 3.0, 0.0}),
              ElementsAre(DoubleEq(2.5), DoubleEq(7.5), DoubleEq(0)));
  EXPECT_THAT(SplitByDirectCost(10, {0.0, 0.0}), ElementsAre(0.0, 0.0));
  EXPECT_THAT(SplitByDirectCost(10, {}), ElementsAre());
  EXPECT_DOUBLE_EQ(IdleShare(4.0, 1.0).value(), 0.75);
  EXPECT_EQ(IdleShare(4.0, 5.0), 0.0);
}

TEST(CostModelTest, ImbalanceHeadroomMonthSpotEnergy) {
  EXPECT_DOUBLE_EQ(ImbalanceTax(12.0, {4.0, 2.0, 0.0}).value(), 6);
  EXPECT_EQ(ImbalanceTax(12.0, {3.0, 3.0}), 0.0);
  EXPECT_DOUBLE_EQ(ExpertCost(8.0, 25, 100).value(), 2);
  EXPECT_DOUBLE_EQ(MonthProjection(2.0).value(), 1460);
  EXPECT_DOUBLE_EQ(HeadroomCost(10.0, 30, 100).value(), 7);
  EXPECT_EQ(HeadroomCost(10.0, 120, 100), 0.0);
  EXPECT_DOUBLE_EQ(SpotSaving(3.0, 10.0).value(), 7);
  EXPECT_DOUBLE_EQ(EnergyCost(7.2e6, 0.25).value(), 0.5);
}

}  // namespace
}  // namespace moesaic::monitoring
