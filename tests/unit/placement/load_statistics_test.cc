#include "placement/load_statistics.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace moesaic::placement {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::uint32_t kLayers = 2;

/// 100 calls, 50 of each layer: unit 0 gets `rows`, unit 3 a tenth of that.
LoadReport Report(std::uint32_t rows) {
  LoadReport report;
  report.calls = 100;
  report.units = {{.number = 0, .rows = rows, .experts = rows / 2},
                  {.number = 3, .rows = rows / 10, .experts = rows / 10}};
  report.shards = {{.id = base::ShardId(1),
                    .dispatches = 10,
                    .rows = rows,
                    .round_trip = absl::Milliseconds(20),
                    .queue_wait = absl::Milliseconds(5),
                    .compute = {}}};
  return report;
}

class LoadStatisticsTest : public ::testing::Test {
 protected:
  LoadStatisticsTest() { statistics_.Reset(4); }
  LoadStatistics statistics_{absl::Seconds(60)};
};

TEST_F(LoadStatisticsTest, TooFewCallsSayNothing) {
  EXPECT_THAT(statistics_.Loads(kLayers), IsEmpty());
  LoadReport report = Report(100);
  report.calls = 10;
  statistics_.Add(absl::Seconds(1), report);
  EXPECT_THAT(statistics_.Loads(kLayers), IsEmpty());
}

TEST_F(LoadStatisticsTest, LoadsArePerCallOfTheLayer) {
  statistics_.Add(absl::Seconds(1), Report(100));
  const auto loads = statistics_.Loads(kLayers);
  ASSERT_THAT(loads, SizeIs(4));
  EXPECT_FLOAT_EQ(loads[0].rows, 2);
  EXPECT_FLOAT_EQ(loads[0].experts, 1);
  EXPECT_FLOAT_EQ(loads[1].rows, 0);
  EXPECT_FLOAT_EQ(loads[3].rows, 0.2f);
}

TEST_F(LoadStatisticsTest, ReportsOfAllRoutersCountAndOldOnesFade) {
  absl::Duration now;
  for (int i = 0; i < 600; ++i) statistics_.Add(now += absl::Seconds(1), Report(100));
  EXPECT_NEAR(statistics_.Loads(kLayers)[0].rows, 2, 1e-3);
  for (int i = 0; i < 60; ++i) statistics_.Add(now += absl::Seconds(1), Report(200));
  EXPECT_NEAR(statistics_.Loads(kLayers)[0].rows, 4 - 2 * std::exp(-1.0), 0.02);
}

TEST_F(LoadStatisticsTest, AShardsRateIsOfAllRoutersAndDecaysInSilence) {
  absl::Duration now;
  for (int i = 0; i < 600; ++i) {
    now += absl::Seconds(1);
    statistics_.Add(now, Report(100));
    statistics_.Add(now, Report(100));
  }
  const auto load = statistics_.Of(base::ShardId(1), now);
  EXPECT_NEAR(load.rows_per_s, 200, 3);
  EXPECT_NEAR(absl::ToDoubleMilliseconds(load.mean_round_trip), 2, 1e-6);
  EXPECT_NEAR(absl::ToDoubleMilliseconds(load.mean_queue_wait), 0.5, 1e-6);
  EXPECT_NEAR(statistics_.Of(base::ShardId(1), now + absl::Seconds(600)).rows_per_s, 0, 0.1);
  EXPECT_EQ(statistics_.Of(base::ShardId(2), now).rows_per_s, 0);
}

}  // namespace
}  // namespace moesaic::placement
