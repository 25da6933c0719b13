#include "router/dispatch/flow_limit.h"

#include "gtest/gtest.h"

namespace moesaic::router {
namespace {

constexpr absl::Duration kCompute = absl::Milliseconds(10);

TEST(FlowLimitTest, AGrowingQueueShrinksItToTheMinimum) {
  FlowLimit limit;
  for (int i = 0; i < 300; ++i) limit.OnAnswer(10 * kCompute, kCompute, limit.limit());
  EXPECT_LT(limit.limit(), 2 * FlowLimit::kMin) << "it goes on probing above the minimum";
  EXPECT_GE(limit.limit(), FlowLimit::kMin);
}

TEST(FlowLimitTest, ARefusalCountsAsAnEndlessQueue) {
  FlowLimit limit;
  const std::uint64_t before = limit.limit();
  limit.OnAnswer(absl::InfiniteDuration(), absl::ZeroDuration(), 1);
  EXPECT_LT(limit.limit(), before);
}

TEST(FlowLimitTest, ItGrowsOnlyWhileItIsUsed) {
  FlowLimit used, unused;
  const std::uint64_t before = used.limit();
  for (int i = 0; i < 100; ++i) {
    used.OnAnswer(absl::ZeroDuration(), kCompute, used.limit());
    unused.OnAnswer(absl::ZeroDuration(), kCompute, 1);
  }
  EXPECT_GT(used.limit(), before);
  EXPECT_EQ(unused.limit(), before);
}

TEST(FlowLimitTest, OneBatchMayWaitWhileOneComputes) {
  FlowLimit limit;
  const std::uint64_t before = limit.limit();
  for (int i = 0; i < 100; ++i) limit.OnAnswer(kCompute, kCompute, 1);
  EXPECT_EQ(limit.limit(), before);
}

TEST(FlowLimitTest, ThreadHandOffsAreNoQueue) {
  FlowLimit limit;
  const std::uint64_t before = limit.limit();
  for (int i = 0; i < 100; ++i) limit.OnAnswer(absl::Microseconds(400), absl::Microseconds(20), 1);
  EXPECT_EQ(limit.limit(), before);
}

}  // namespace
}  // namespace moesaic::router
