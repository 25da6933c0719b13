#include "router/admission/queue_admission.h"

#include <gtest/gtest.h>

#include "base/retry_delay.h"

namespace moesaic::router {
namespace {

TEST(QueueAdmissionTest, AdmitsUntilTheQueueIsFull) {
  EXPECT_TRUE(AdmitToQueue({.waiting = 3, .max_queue = 4}).ok());
  EXPECT_EQ(AdmitToQueue({.waiting = 4, .max_queue = 4}).code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(QueueAdmissionTest, DrainingGoesBeforeFull) {
  EXPECT_EQ(AdmitToQueue({.waiting = 4, .max_queue = 4, .draining = true}).code(),
            absl::StatusCode::kUnavailable);
}

TEST(QueueAdmissionTest, RetryDelayIsTheTimeToShrinkByATenthWithinBounds) {
  const auto delay = [](int max_queue, absl::Duration interval) {
    return *base::RetryDelay(AdmitToQueue(
        {.waiting = max_queue, .max_queue = max_queue, .admission_interval = interval}));
  };
  EXPECT_EQ(delay(100, absl::Milliseconds(500)), absl::Seconds(5));
  EXPECT_EQ(delay(100, absl::ZeroDuration()), absl::Seconds(1));
  EXPECT_EQ(delay(1000, absl::Seconds(10)), absl::Seconds(60));
}

}  // namespace
}  // namespace moesaic::router
