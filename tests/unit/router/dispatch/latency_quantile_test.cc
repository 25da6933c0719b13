#include "router/dispatch/latency_quantile.h"

#include "gtest/gtest.h"

namespace moesaic::router {
namespace {

TEST(LatencyQuantileTest, EmptyIsZero) {
  EXPECT_EQ(LatencyQuantile().At(0.99), absl::ZeroDuration());
  EXPECT_EQ(LatencyQuantile().samples(), 0u);
}

TEST(LatencyQuantileTest, QuantilesAreAtMostABucketTooHigh) {
  LatencyQuantile latency;
  for (int i = 1; i <= 1000; ++i) latency.Add(absl::Microseconds(100 * i));
  for (const double quantile : {0.5, 0.9, 0.99}) {
    const absl::Duration exact = absl::Milliseconds(100 * quantile);
    EXPECT_GE(latency.At(quantile), 0.99 * exact) << quantile;
    EXPECT_LE(latency.At(quantile), 1.2 * exact) << quantile;
  }
}

TEST(LatencyQuantileTest, TheExtremesHaveBucketsToo) {
  LatencyQuantile latency;
  latency.Add(-absl::Seconds(1));
  EXPECT_EQ(latency.At(1), absl::Microseconds(16));
  latency.Add(absl::InfiniteDuration());
  EXPECT_GT(latency.At(1), absl::Seconds(50));
}

TEST(LatencyQuantileTest, OldDurationsFade) {
  LatencyQuantile latency;
  for (int i = 0; i < 1000; ++i) latency.Add(absl::Seconds(1));
  for (int i = 0; i < 20'000; ++i) latency.Add(absl::Milliseconds(1));
  EXPECT_LT(latency.At(0.99), absl::Milliseconds(2));
  EXPECT_LT(latency.samples(), LatencyQuantile::kWindow);
}

}  // namespace
}  // namespace moesaic::router
