#include "placement/cluster_view.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/unit/placement/placement_fixture.h"
#include "tests/unit/placement/recorded_control.h"

namespace moesaic::placement {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// Two shards that hold half each, on nodes that have and have not a price, and a router with load.
class ClusterViewTest : public ::testing::Test {
 protected:
  ClusterViewTest() {
    std::ofstream(path_) << R"({"currency": "EUR", "node_types":
        {"big": {"on_demand_per_hour": 8, "spot_per_hour": 2}}})";
    prices_ = *monitoring::PriceListFile::Open(path_, clock_);
    Join("a", {0, 1, 2}, {.price_class = "big", .capacity_type = "spot", .share = 0.5});
    Join("b", {3, 4, 5}, {.price_class = "odd", .capacity_type = "", .share = 1});
    EXPECT_TRUE(
        coordinator_
            .AddRouter(9, "r", TestModel(), {}, {.send = [](auto) {}, .end = [](const auto&) {}},
                       {.http_address = "127.0.0.1:1",
                        .node = "",
                        .zone = "",
                        .node_share = {.price_class = "big", .capacity_type = "", .share = 0.5},
                        .build = ""})
            .ok());
    clock_.Advance(absl::Seconds(4));
    coordinator_.Advance();
    v1::LoadReport load;
    load.set_window_us(2'000'000);
    load.set_calls(100);
    for (const auto& [unit, rows] : {std::pair{0, 120}, {1, 60}, {4, 30}}) {
      load.add_units(unit);
      load.add_rows(rows);
      load.add_experts(10);
    }
    load.mutable_router()->set_generated_tokens(40);
    load.mutable_router()->set_capacity_tokens_per_s(50);
    EXPECT_TRUE(coordinator_.TakeLoad(9, load).ok());
  }
  ~ClusterViewTest() override { std::filesystem::remove(path_); }

  void Join(const std::string& name, std::vector<std::uint32_t> held, monitoring::NodeShare node) {
    ShardDescription description;
    description.name = description.address = name;
    description.model = TestModel();
    description.topology = TestTopology();
    description.memory_bytes = 600;
    description.node_share = std::move(node);
    ShardNews news;
    news.held = std::move(held);
    EXPECT_TRUE(coordinator_
                    .AddShard(++session_, description, news,
                              {.send = [](const auto&) {}, .end = [](const auto&) {}})
                    .ok());
  }
  std::string Metrics() {
    monitoring::Registry registry;
    view_.Refresh(registry);
    return registry.Exposition();
  }

  const std::string path_ =
      std::filesystem::temp_directory_path() / ("prices_" + std::to_string(::getpid()));
  testing::FakeClock clock_;
  RecordedControl control_;
  SessionId session_ = 0;
  std::unique_ptr<monitoring::PriceListFile> prices_;
  Coordinator coordinator_{{.expect_shards = 2}, control_, clock_};
  ClusterView view_{coordinator_,
                    {.prices = nullptr, .own = {.price_class = "big", .share = 0.25}}};
};

TEST_F(ClusterViewTest, ExpertsAreLayerByUnit) {
  const auto json = nlohmann::json::parse(view_.ExpertsJson());
  EXPECT_EQ(json["layers"], nlohmann::json({1, 3}));
  EXPECT_EQ(json["units_per_layer"], 3);
  EXPECT_EQ(json["holders"], nlohmann::json::parse("[[[0],[0],[0]],[[1],[1],[1]]]"));
  EXPECT_EQ(json["rows_per_s"], nlohmann::json::parse("[[2.0,1.0,0],[0,0.5,0]]"));
}

TEST_F(ClusterViewTest, EveryProcessBringsItsShareOfItsNode) {
  const monitoring::NodeShare own{.price_class = "big", .capacity_type = "", .share = 0.25};
  const NodeCosts costs = CostNodes(coordinator_, {.prices = prices_->Get().get(), .own = own});
  EXPECT_DOUBLE_EQ(costs.nodes, 2.25);
  EXPECT_DOUBLE_EQ(costs.nodes_without_price, 1);
  EXPECT_DOUBLE_EQ(costs.per_hour, 0.5 * 2 + 0.5 * 8 + 0.25 * 8);
  EXPECT_DOUBLE_EQ(costs.on_demand_per_hour, 1.25 * 8);
}

TEST_F(ClusterViewTest, DescribesWithASummary) {
  const v1::DescribeClusterResponse cluster = view_.Describe();
  EXPECT_DOUBLE_EQ(cluster.summary().tokens_per_s(), 10);
  EXPECT_EQ(cluster.summary().currency(), "");
  EXPECT_EQ(cluster.summary().health(), v1::HEALTH_OK);
  EXPECT_EQ(cluster.events(0).text(), "shard a joined and brought 3 units");
}

TEST_F(ClusterViewTest, GaugesFollowMembersAndPrices) {
  ClusterView view(coordinator_, {.prices = prices_.get(),
                                  .own = {.price_class = "big", .share = 0.25},
                                  .budget_per_month = 1000});
  monitoring::Registry registry;
  view.Refresh(registry);
  std::string text = registry.Exposition();
  EXPECT_THAT(text, HasSubstr("moesaic_serving_shards 2"));
  EXPECT_THAT(text, HasSubstr("moesaic_ready_replicas 6"));
  EXPECT_THAT(text, HasSubstr("moesaic_connected_routers 1"));
  EXPECT_THAT(text, HasSubstr("moesaic_desired_shards 2"));
  EXPECT_THAT(text, HasSubstr("moesaic_rebalancing 1"));
  EXPECT_THAT(text, HasSubstr("moesaic_expert_tokens_per_second{layers=\"1-3\",shard=\"a\"} 3"));
  EXPECT_THAT(text, HasSubstr("moesaic_hot_expert_tokens_per_second{rank=\"1\"} 2"));
  EXPECT_THAT(text, HasSubstr("moesaic_hot_expert_replicas{rank=\"1\"} 1"));
  EXPECT_THAT(text, HasSubstr("moesaic_expert_imbalance_ratio 1."));
  EXPECT_THAT(text, HasSubstr("moesaic_cluster_capacity_tokens_per_second 50"));
  EXPECT_THAT(text, HasSubstr("moesaic_node_cost_usd_per_hour{capacity_type=\"spot\","
                              "node_type=\"big\",role=\"shard\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("moesaic_node_cost_usd_per_hour{capacity_type=\"on_demand\","
                                  "node_type=\"odd\"")));
  EXPECT_THAT(text, HasSubstr("moesaic_nodes_without_price 1"));
  EXPECT_THAT(text, HasSubstr("moesaic_budget_usd_per_month 1000"));
  coordinator_.Expect(5);
  coordinator_.RemoveShard(1);
  view.Refresh(registry);
  text = registry.Exposition();
  EXPECT_THAT(text, HasSubstr("moesaic_units_uncovered 3"));
  EXPECT_THAT(text, HasSubstr("moesaic_desired_shards 5"));
}

TEST_F(ClusterViewTest, NoPriceNoCostSeries) {
  EXPECT_THAT(Metrics(), Not(HasSubstr("moesaic_node_cost_usd_per_hour{")));
  EXPECT_THAT(Metrics(), Not(HasSubstr("moesaic_budget_usd_per_month ")));
  EXPECT_THAT(Metrics(), HasSubstr("moesaic_nodes_without_price 2.25"));
}

}  // namespace
}  // namespace moesaic::placement
