#include "router/router_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace moesaic::router {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ShardDispatchStats Shard(const char* name, std::uint64_t in_flight_rows) {
  ShardDispatchStats shard;
  shard.name = name;
  shard.dispatches = 5;
  shard.in_flight_rows = in_flight_rows;
  shard.decode_connected = shard.prefill_connected = true;
  return shard;
}

TEST(RouterMetricsTest, AShardThatHasLeftHasNoRowsInFlight) {
  monitoring::Registry registry;
  DispatchStats stats;
  stats.shards = {Shard("shard-1", 3), Shard("shard-2", 7)};
  RefreshDispatchMetrics(stats, registry);
  EXPECT_THAT(registry.Exposition(), HasSubstr("moesaic_in_flight_rows{shard=\"shard-2\"} 7"));
  stats.shards.pop_back();
  RefreshDispatchMetrics(stats, registry);
  const std::string text = registry.Exposition();
  EXPECT_THAT(text, HasSubstr("moesaic_in_flight_rows{shard=\"shard-1\"} 3"));
  EXPECT_THAT(text, Not(HasSubstr("moesaic_in_flight_rows{shard=\"shard-2\"}")));
  EXPECT_THAT(text, HasSubstr("moesaic_dispatches_total{shard=\"shard-2\"} 5"));
  EXPECT_THAT(text, HasSubstr("moesaic_ready_shards 1"));
}

TEST(RouterMetricsTest, SaturationIsAShare) {
  EXPECT_EQ(SaturationRatio(0.25, 1, 64, 0, 256), 0.25);
  EXPECT_EQ(SaturationRatio(0.25, 32, 64, 0, 256), 0.5);
  EXPECT_EQ(SaturationRatio(0.25, 32, 64, 192, 256), 0.75);
  EXPECT_EQ(SaturationRatio(0.25, 0, 64, 3, 2), 1) << "preempted ones wait, too";
}

}  // namespace
}  // namespace moesaic::router
