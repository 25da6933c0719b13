#include "services/cli/bench/arrivals.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"

namespace moesaic::services {
namespace {

std::vector<double> Times(const Arrivals::Options& options, int count) {
  Arrivals arrivals(options, Random(1, 0));
  std::vector<double> times(count);
  for (double& time : times) time = absl::ToDoubleSeconds(arrivals.Next());
  return times;
}

/// Deviation of the gaps over their mean: 1 for a Poisson process.
double Variation(const std::vector<double>& times) {
  double squares = 0;
  for (std::size_t i = 1; i < times.size(); ++i) {
    squares += std::pow(times[i] - times[i - 1], 2);
  }
  const double gaps = static_cast<double>(times.size() - 1);
  const double mean = times.back() / gaps;
  return std::sqrt(squares / gaps - mean * mean) / mean;
}

TEST(ArrivalsTest, PoissonHasItsRateAndSpread) {
  const auto times = Times({.rate = 20}, 20'000);
  EXPECT_EQ(times.front(), 0);
  EXPECT_NEAR(times.back(), 1000, 40);
  EXPECT_NEAR(Variation(times), 1, 0.05);
}

TEST(ArrivalsTest, BurstinessSpreadsTheGapsAndKeepsTheRate) {
  const auto uneven = Times({.rate = 20, .burstiness = 0.25}, 20'000);
  EXPECT_NEAR(uneven.back(), 1000, 80);
  EXPECT_NEAR(Variation(uneven), 2, 0.2);  // 1 / sqrt(shape)
  const auto even = Times({.rate = 20, .burstiness = 100}, 20'000);
  EXPECT_NEAR(even.back(), 1000, 10);
  EXPECT_NEAR(Variation(even), 0.1, 0.01);
}

TEST(ArrivalsTest, BurstsComeAtOnceAndKeepTheRate) {
  const auto times = Times({.rate = 20, .burst = 8}, 16'000);
  for (std::size_t i = 0; i < times.size(); ++i) EXPECT_EQ(times[i], times[i / 8 * 8]);
  EXPECT_GT(times[8], times[7]);
  EXPECT_NEAR(times.back(), 800, 80);
}

TEST(ArrivalsTest, SameSeedSameTimes) { EXPECT_EQ(Times({.rate = 3}, 10), Times({.rate = 3}, 10)); }

}  // namespace
}  // namespace moesaic::services
