#include "placement/node_time_meter.h"

#include <gtest/gtest.h>

namespace moesaic::placement {
namespace {

class NodeTimeMeterTest : public ::testing::Test {
 protected:
  std::vector<monitoring::NodeTime> LookAt(int second, std::vector<RunningProcess> running) {
    return meter_.Look(absl::FromUnixSeconds(second), absl::Seconds(5 + second), running, &prices_);
  }
  static RunningProcess Shard(double busy, std::uint64_t incarnation = 1) {
    return {"shard-1", "shard", incarnation, "node-1", {"big", "spot", 0.5}, busy};
  }

  const monitoring::PriceList prices_ =
      monitoring::PriceList::Parse(
          R"({"currency": "USD", "node_types": {"big": {"spot_per_hour": 7.2}}})")
          .value();
  NodeTimeMeter meter_{"writer", absl::Seconds(10)};
};

TEST_F(NodeTimeMeterTest, ARowForEveryPeriod) {
  EXPECT_TRUE(LookAt(0, {Shard(100)}).empty());  // computed before: not ours to count
  EXPECT_TRUE(LookAt(9, {Shard(103)}).empty());
  const auto first = LookAt(10, {Shard(104)});
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].process, "shard-1");
  EXPECT_EQ(first[0].role, "shard");
  EXPECT_EQ(first[0].node, "node-1");
  EXPECT_EQ(first[0].start, absl::FromUnixSeconds(0));
  EXPECT_EQ(first[0].end, absl::FromUnixSeconds(10));
  EXPECT_EQ(first[0].alive_seconds, 10);
  EXPECT_EQ(first[0].busy_seconds, 4);
  EXPECT_DOUBLE_EQ(first[0].cost.value(), 0.01);  // half of 7.2 $/h for 10 s
  EXPECT_EQ(first[0].currency, "USD");
  EXPECT_TRUE(LookAt(15, {Shard(105)}).empty());
  const auto last = meter_.Finish(&prices_);
  ASSERT_EQ(last.size(), 1u);
  EXPECT_EQ(last[0].alive_seconds, 5);
  EXPECT_EQ(last[0].busy_seconds, 1);
  EXPECT_NE(last[0].id, first[0].id);
  EXPECT_TRUE(meter_.Finish(&prices_).empty());
}

TEST_F(NodeTimeMeterTest, AProcessThatEndsOrStartsAgain) {
  LookAt(0, {Shard(0)});
  LookAt(4, {Shard(3)});
  const auto rows = LookAt(5, {Shard(0, 2)});  // another process with its name
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].alive_seconds, 4);
  EXPECT_EQ(rows[0].busy_seconds, 3);
  LookAt(8, {Shard(1, 2)});
  const auto gone = LookAt(9, {});
  ASSERT_EQ(gone.size(), 1u);
  EXPECT_EQ(gone[0].alive_seconds, 3);
  EXPECT_EQ(gone[0].busy_seconds, 1);
  EXPECT_NE(gone[0].id, rows[0].id);
}

TEST_F(NodeTimeMeterTest, AnUnknownPriceStaysUnknown) {
  RunningProcess unknown = Shard(0);
  unknown.node_share.price_class = "other";
  LookAt(0, {unknown});
  EXPECT_EQ(LookAt(10, {unknown})[0].cost, std::nullopt);
  LookAt(11, {Shard(0)});
  EXPECT_EQ(meter_.Finish(nullptr)[0].cost, std::nullopt);
}

}  // namespace
}  // namespace moesaic::placement
