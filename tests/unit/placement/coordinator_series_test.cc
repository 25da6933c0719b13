#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "gtest/gtest.h"
#include "monitoring/ledger/ledger.h"
#include "monitoring/process_metrics.h"
#include "placement/cluster_view.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/series_count.h"
#include "tests/unit/placement/recorded_control.h"

namespace moesaic::placement {
namespace {

using testing::kLargeShards;

/// A coordinator of 72 shards, half of them spot, and two routers with load of every unit and of
/// 200 tenants.
class CoordinatorSeriesTest : public ::testing::Test {
 protected:
  CoordinatorSeriesTest() {
    std::filesystem::create_directories(dir_);
    std::ofstream(dir_ / "prices.json") << R"({"currency": "USD", "node_types": {
        "gpu": {"on_demand_per_hour": 8, "spot_per_hour": 2}, "cpu": {"on_demand_per_hour": 1}}})";
    prices_ = *monitoring::PriceListFile::Open((dir_ / "prices.json").string(), clock_);
    const std::uint32_t units = testing::DeepSeekV3Topology().units_total();
    for (std::uint32_t shard = 0; shard < kLargeShards; ++shard) Join(shard, units);
    for (const SessionId router : {1001, 1002}) {
      EXPECT_TRUE(coordinator_
                      .AddRouter(router, "router", testing::DeepSeekV3Identity(), {},
                                 {.send = [](auto) {}, .end = [](const auto&) {}}, OnCpuNode())
                      .ok());
    }
    clock_.Advance(absl::Seconds(2));
    EXPECT_TRUE(coordinator_.TakeLoad(1001, Load(units)).ok());
  }
  ~CoordinatorSeriesTest() override { std::filesystem::remove_all(dir_); }

  void Join(std::uint32_t shard, std::uint32_t units) {
    ShardDescription description;
    description.name = description.address = testing::LargeShardName(shard);
    description.model = testing::DeepSeekV3Identity();
    description.topology = testing::DeepSeekV3Topology();
    description.memory_bytes = std::uint64_t{64} << 30;
    description.node_share = {
        .price_class = "gpu", .capacity_type = shard % 2 ? "spot" : "on_demand", .share = 1};
    ShardNews news;
    news.held.emplace();
    for (std::uint32_t unit = shard; unit < units; unit += kLargeShards) {
      news.held->push_back(unit);
    }
    EXPECT_TRUE(coordinator_
                    .AddShard(shard + 1, description, news,
                              {.send = [](const auto&) {}, .end = [](const auto&) {}})
                    .ok());
  }

  static RouterDescription OnCpuNode() {
    RouterDescription router;
    router.node_share = {.price_class = "cpu", .capacity_type = "", .share = 1};
    return router;
  }
  static v1::LoadReport Load(std::uint32_t units) {
    v1::LoadReport load;
    load.set_window_us(2'000'000);
    load.set_calls(100);
    for (std::uint32_t unit = 0; unit < units; ++unit) {
      load.add_units(unit);
      load.add_rows(1 + unit % 100);
      load.add_experts(1);
    }
    for (int tenant = 0; tenant < testing::kLargeTenants; ++tenant) {
      v1::TenantLoad& proto = *load.mutable_router()->add_tenants();
      proto.set_tenant(absl::StrCat("tenant-", tenant));
      proto.set_requests(1);
    }
    return load;
  }

  const std::filesystem::path dir_ =
      std::filesystem::temp_directory_path() / absl::StrCat("series_", ::getpid());
  testing::FakeClock clock_;
  RecordedControl control_;
  std::unique_ptr<monitoring::PriceListFile> prices_;
  Coordinator coordinator_{{}, control_, clock_};
  monitoring::Registry registry_;
};

TEST_F(CoordinatorSeriesTest, OfDeepSeekV3) {
  ClusterView view(coordinator_, {.prices = prices_.get(),
                                  .own = {.price_class = "cpu", .share = 1},
                                  .budget_per_month = 1000});
  const auto ledger =
      monitoring::Ledger::Start({.url = absl::StrCat("sqlite:", (dir_ / "ledger.db").string()),
                                 .queue = {.directory = (dir_ / "queue").string()}},
                                registry_);
  ASSERT_TRUE(ledger.ok()) << ledger.status();
  monitoring::ProcessMetrics process(clock_);
  process.Export(registry_, "1.0.0", "coordinator", "");
  view.Refresh(registry_);
  const std::size_t series = testing::CountSeries(registry_);
  testing::PrintSeries("coordinator", series);
  // 72 shards by 8 groups of layers; nothing by unit, nothing by tenant.
  EXPECT_GE(series, kLargeShards * 8 + 60);
  EXPECT_LE(series, kLargeShards * 8 + 100);
}

}  // namespace
}  // namespace moesaic::placement
