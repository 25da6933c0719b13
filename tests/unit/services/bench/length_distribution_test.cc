#include "services/cli/bench/length_distribution.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "gtest/gtest.h"

namespace moesaic::services {
namespace {

std::vector<std::int64_t> Draw(const char* text, int count = 20'000) {
  const auto distribution = LengthDistribution::Parse(text);
  EXPECT_TRUE(distribution.ok()) << distribution.status();
  Random random(1, 0);
  std::vector<std::int64_t> lengths(count);
  for (std::int64_t& length : lengths) length = distribution->Sample(random);
  std::sort(lengths.begin(), lengths.end());
  return lengths;
}

TEST(LengthDistributionTest, Fixed) {
  const auto lengths = Draw("64");
  EXPECT_EQ(lengths.front(), 64);
  EXPECT_EQ(lengths.back(), 64);
}

TEST(LengthDistributionTest, Uniform) {
  const auto lengths = Draw("uniform:16-96");
  EXPECT_EQ(lengths.front(), 16);
  EXPECT_EQ(lengths.back(), 96);
  EXPECT_NEAR(static_cast<double>(lengths[lengths.size() / 2]), 56, 2);
}

TEST(LengthDistributionTest, NormalIsNeverBelowOne) {
  const auto lengths = Draw("normal:20,15");
  EXPECT_EQ(lengths.front(), 1);
  EXPECT_NEAR(static_cast<double>(lengths[lengths.size() / 2]), 20, 1);
  // One deviation above the mean is the 84th percentile.
  EXPECT_NEAR(static_cast<double>(lengths[lengths.size() * 84 / 100]), 35, 1);
}

TEST(LengthDistributionTest, LogNormal) {
  const auto lengths = Draw("lognormal:100,0.5");
  EXPECT_NEAR(static_cast<double>(lengths[lengths.size() / 2]), 100, 3);
  EXPECT_NEAR(static_cast<double>(lengths[lengths.size() * 84 / 100]), 100 * std::exp(0.5), 6);
  EXPECT_LE(Draw("lognormal:1000000,10").back(), LengthDistribution::kMaxTokens);
}

TEST(LengthDistributionTest, RefusesWhatIsNone) {
  for (const char* text : {"",
                           "0",
                           "-3",
                           "1.5",
                           "x",
                           "nan",
                           "inf",
                           "2000000",
                           "uniform:",
                           "uniform:9-8",
                           "uniform:0-8",
                           "uniform:1-2-3",
                           "normal:64",
                           "normal:64,-1",
                           "normal:nan,1",
                           "normal:0,1",
                           "lognormal:64,99",
                           "lognormal:0,1",
                           "poisson:3",
                           "64,",
                           "uniform:1,2"}) {
    EXPECT_EQ(LengthDistribution::Parse(text).status().code(), absl::StatusCode::kInvalidArgument)
        << text;
  }
}

}  // namespace
}  // namespace moesaic::services
