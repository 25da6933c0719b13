#include "router/dispatch/unit_load.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace moesaic::router {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Unit = placement::LoadReport::Unit;

/// Layers 1 and 3 of six experts, two a unit.
placement::ExpertTopology Topology() {
  return {.moe_layers = {base::LayerId(1), base::LayerId(3)},
          .experts_per_layer = 6,
          .unit_size = 2,
          .unit_bytes = 100};
}

/// Token 0 goes through experts 0, 1 and 5, token 1 through 1 and 4.
ExpertCallState Call(std::uint64_t id, std::uint32_t layer) {
  static const std::vector<std::int32_t> experts = {0, 1, 5, 1, 4, -1};
  static const std::vector<float> weights(6, 0.5f);
  static const std::vector<std::int32_t> offsets = {0, 2, 4};
  ExpertCall call;
  call.layer = base::LayerId(layer);
  call.top_k = 3;
  call.hidden_size = 4;
  call.expert_ids = experts;
  call.weights = weights;
  call.slot_offsets = offsets;
  return {id, call, 2, [](ExpertOutcome) {}};
}

TEST(UnitLoad, CountsRowsAndDistinctExpertsOfEachCall) {
  UnitLoad load;
  load.Count(Call(1, 1));
  load.SetTopology(Topology(), absl::Seconds(1));
  load.Count(Call(2, 3));
  load.Count(Call(3, 3));
  load.Count(Call(4, 2));  // no layer of this model
  const placement::LoadReport report = load.Take({}, absl::Seconds(3));
  EXPECT_EQ(report.window, absl::Seconds(2));
  EXPECT_EQ(report.calls, 2u);
  EXPECT_THAT(report.units, ElementsAre(Unit{.number = 3, .rows = 6, .experts = 4},
                                        Unit{.number = 5, .rows = 4, .experts = 4}));
  EXPECT_THAT(load.Take({}, absl::Seconds(4)).units, IsEmpty()) << "each is reported once";
}

TEST(UnitLoad, ShardsReportWhatWasAddedToTheirCounters) {
  UnitLoad load;
  load.SetTopology(Topology(), {});
  ShardDispatchStats shard;
  shard.id = base::ShardId(7);
  shard.answered = 10;
  shard.rows = 100;
  shard.compute_sum = absl::Seconds(1);
  EXPECT_EQ(load.Take({shard}, absl::Seconds(1)).shards[0].dispatches, 10u);
  EXPECT_THAT(load.Take({shard}, absl::Seconds(2)).shards, IsEmpty());
  shard.answered = 13;
  shard.rows = 130;
  shard.compute_sum = absl::Seconds(3);
  const auto more = load.Take({shard}, absl::Seconds(3)).shards;
  EXPECT_EQ(more[0].dispatches, 3u);
  EXPECT_EQ(more[0].rows, 30u);
  EXPECT_EQ(more[0].compute, absl::Seconds(2));
  shard.answered = 2;
  shard.rows = 20;
  EXPECT_EQ(load.Take({shard}, absl::Seconds(4)).shards[0].rows, 20u) << "a new link";
  EXPECT_THAT(load.Take({}, absl::Seconds(5)).shards, IsEmpty()) << "it is away";
  shard.answered = 3;
  EXPECT_EQ(load.Take({shard}, absl::Seconds(6)).shards[0].dispatches, 1u);
}

}  // namespace
}  // namespace moesaic::router
