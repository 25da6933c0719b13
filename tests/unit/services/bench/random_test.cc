#include "services/cli/bench/random.h"

#include <cmath>
#include <set>

#include "gtest/gtest.h"

namespace moesaic::services {
namespace {

constexpr int kDraws = 100'000;

/// Mean and variance of many draws.
template <typename Draw>
std::pair<double, double> Moments(Draw draw) {
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double value = draw();
    sum += value;
    squares += value * value;
  }
  const double mean = sum / kDraws;
  return {mean, squares / kDraws - mean * mean};
}

TEST(RandomTest, SameEverywhere) {
  Random random(1, 0);
  Random again(1, 0);
  Random other_seed(2, 0);
  Random other_stream(1, 1);
  const std::uint64_t first = random.Next();
  EXPECT_EQ(again.Next(), first);
  EXPECT_NE(other_seed.Next(), first);
  EXPECT_NE(other_stream.Next(), first);
}

TEST(RandomTest, UniformIsAboveZero) {
  Random random(3, 0);
  const auto [mean, variance] = Moments([&] {
    const double value = random.Uniform();
    EXPECT_GT(value, 0);
    EXPECT_LE(value, 1);
    return value;
  });
  // Five standard errors and more.
  EXPECT_NEAR(mean, 0.5, 0.005);
  EXPECT_NEAR(variance, 1.0 / 12, 0.005);
}

TEST(RandomTest, UniformIntHasBothEnds) {
  Random random(3, 0);
  std::set<std::int64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.UniformInt(-1, 2));
  EXPECT_EQ(seen, (std::set<std::int64_t>{-1, 0, 1, 2}));
  EXPECT_EQ(random.UniformInt(7, 7), 7);
}

TEST(RandomTest, MomentsOfTheOthers) {
  Random random(4, 0);
  const auto [exponential_mean, exponential_variance] =
      Moments([&] { return random.Exponential(); });
  EXPECT_NEAR(exponential_mean, 1, 0.02);
  EXPECT_NEAR(exponential_variance, 1, 0.06);
  const auto [normal_mean, normal_variance] = Moments([&] { return random.Normal(); });
  EXPECT_NEAR(normal_mean, 0, 0.02);
  EXPECT_NEAR(normal_variance, 1, 0.03);
  // A gamma distribution's mean and variance are its shape.
  for (const double shape : {0.25, 1.0, 4.0}) {
    const auto [mean, variance] = Moments([&] { return random.Gamma(shape); });
    EXPECT_NEAR(mean, shape, 0.03 * shape + 0.01) << shape;
    EXPECT_NEAR(variance, shape, 0.08 * shape + 0.02) << shape;
  }
}

}  // namespace
}  // namespace moesaic::services
