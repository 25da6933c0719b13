#include "base/clock.h"

#include <gtest/gtest.h>

namespace moesaic::base {
namespace {

TEST(ClockTest, MonotonicNeverGoesBack) {
  absl::Duration last = Clock::Real().Monotonic();
  for (int i = 0; i < 1000; ++i) {
    const absl::Duration now = Clock::Real().Monotonic();
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(ClockTest, NowIsThisCentury) { EXPECT_GT(Clock::Real().Now(), absl::FromUnixSeconds(1.6e9)); }

}  // namespace
}  // namespace moesaic::base
