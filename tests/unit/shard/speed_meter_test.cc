#include "shard/speed_meter.h"

#include "gtest/gtest.h"

namespace moesaic::shard {
namespace {

absl::Duration Time(int rows, int experts) { return absl::Microseconds(3 * rows + 40 * experts); }

TEST(SpeedMeterTest, NothingMeasuredIsZero) {
  SpeedMeter meter;
  EXPECT_EQ(meter.speed().us_per_row, 0);
  meter.OnBatch(0, 0, absl::Seconds(1));
  EXPECT_EQ(meter.speed().us_per_row, 0);
}

TEST(SpeedMeterTest, TellsRowsFromExperts) {
  SpeedMeter meter;
  for (int i = 0; i < 200; ++i) {
    const int experts = 1 + i % 8;
    const int rows = experts * (1 + i % 5);
    meter.OnBatch(rows, experts, Time(rows, experts));
  }
  EXPECT_NEAR(meter.speed().us_per_row, 3, 0.01);
  EXPECT_NEAR(meter.speed().us_per_expert, 40, 0.1);
}

TEST(SpeedMeterTest, InseparableBatchesPutAllOnTheRows) {
  SpeedMeter meter;
  for (int i = 0; i < 50; ++i) meter.OnBatch(8, 4, absl::Microseconds(80));
  EXPECT_NEAR(meter.speed().us_per_row, 10, 0.01);
  EXPECT_EQ(meter.speed().us_per_expert, 0);
}

TEST(SpeedMeterTest, NeverNegative) {
  SpeedMeter meter;
  for (int i = 0; i < 50; ++i) {
    meter.OnBatch(10, 1, absl::Microseconds(100));
    meter.OnBatch(10, 5, absl::Microseconds(50));
  }
  EXPECT_GE(meter.speed().us_per_row, 0);
  EXPECT_GE(meter.speed().us_per_expert, 0);
}

TEST(SpeedMeterTest, AnInterruptedBatchHardlyCounts) {
  SpeedMeter meter;
  for (int i = 0; i < 200; ++i) {
    const int experts = 1 + i % 8;
    meter.OnBatch(4 * experts + i % 3, experts, Time(4 * experts + i % 3, experts));
  }
  const double before = 20 * meter.speed().us_per_row + 5 * meter.speed().us_per_expert;
  meter.OnBatch(20, 5, absl::Seconds(5));
  const double after = 20 * meter.speed().us_per_row + 5 * meter.speed().us_per_expert;
  EXPECT_LT(after, 1.1 * before);
}

TEST(SpeedMeterTest, FollowsAMachineThatBecomesSlower) {
  SpeedMeter meter;
  for (int i = 0; i < 3000; ++i) {
    const int experts = 1 + i % 8;
    meter.OnBatch(experts * 2, experts, (i < 100 ? 1 : 10) * Time(2 * experts, experts));
  }
  EXPECT_NEAR(meter.speed().us_per_row * 2 + meter.speed().us_per_expert, 460, 5);
}

}  // namespace
}  // namespace moesaic::shard
