#include "services/cli/bench/samples.h"

#include "gtest/gtest.h"

namespace moesaic::services {
namespace {

TEST(PercentileTest, NearestRank) {
  EXPECT_EQ(Percentile({7}, 50), 7);
  EXPECT_EQ(Percentile({7}, 99), 7);
  EXPECT_EQ(Percentile({1, 2}, 50), 1);
  EXPECT_EQ(Percentile({1, 2, 3}, 50), 2);
  EXPECT_EQ(Percentile({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 90), 9);
  EXPECT_EQ(Percentile({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 99), 10);
  EXPECT_EQ(Percentile({1, 2}, 0), 1);
  EXPECT_EQ(Percentile({1, 2}, 100), 2);
}

TEST(SamplesTest, NoneIsAllZero) {
  const Summary summary = Samples().Summarize();
  EXPECT_EQ(summary.count, 0u);
  EXPECT_EQ(summary.p99, 0);
  EXPECT_EQ(summary.mean, 0);
}

TEST(SamplesTest, Summary) {
  Samples samples;
  for (int i = 100; i >= 1; --i) samples.Add(i);
  const Summary summary = samples.Summarize();
  EXPECT_EQ(summary.count, 100u);
  EXPECT_EQ(summary.mean, 50.5);
  EXPECT_EQ(summary.p50, 50);
  EXPECT_EQ(summary.p90, 90);
  EXPECT_EQ(summary.p99, 99);
  EXPECT_EQ(summary.max, 100);
}

TEST(SamplesTest, BeyondTheLimitItIsAFairSample) {
  Samples samples(1000);
  for (int i = 0; i < 100'000; ++i) samples.Add(i);
  const Summary summary = samples.Summarize();
  EXPECT_EQ(summary.count, 100'000u);
  EXPECT_EQ(summary.mean, 49'999.5);
  EXPECT_EQ(summary.max, 99'999);
  // The median of 1000 has a standard error of 1600 here.
  EXPECT_NEAR(summary.p50, 50'000, 8'000);
  EXPECT_NEAR(summary.p90, 90'000, 5'000);
}

}  // namespace
}  // namespace moesaic::services
