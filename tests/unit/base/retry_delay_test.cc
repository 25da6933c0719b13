#include "base/retry_delay.h"

#include <gtest/gtest.h>

namespace moesaic::base {
namespace {

TEST(RetryDelayTest, TravelsWithTheError) {
  const absl::Status full =
      WithRetryDelay(absl::ResourceExhaustedError("full"), absl::Milliseconds(2500));
  EXPECT_EQ(full.message(), "full");
  EXPECT_EQ(RetryDelay(full), absl::Milliseconds(2500));
  EXPECT_EQ(RetryDelay(WithRetryDelay(full, -absl::Seconds(1))), absl::ZeroDuration());
}

TEST(RetryDelayTest, IsAbsentByDefault) {
  EXPECT_EQ(RetryDelay(absl::UnavailableError("plain")), std::nullopt);
  EXPECT_EQ(RetryDelay(WithRetryDelay(absl::OkStatus(), absl::Seconds(1))), std::nullopt);
}

}  // namespace
}  // namespace moesaic::base
