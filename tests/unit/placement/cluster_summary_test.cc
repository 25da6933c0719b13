#include "placement/cluster_summary.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace moesaic::placement {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ClusterSummaryTest : public ::testing::Test {
 protected:
  ClusterSummaryTest() {
    cluster_.set_units_total(6);
    cluster_.set_replicas_wanted(1);
    cluster_.add_routers()->set_router("r");
    AddShard("shard-1", "SERVING");
  }
  void AddShard(const std::string& name, const std::string& state) {
    cluster_.add_shards()->mutable_placed()->set_shard(name);
    cluster_.mutable_shards(cluster_.shards_size() - 1)->set_state(state);
  }
  v1::ClusterSummary Make() {
    return Summarise({.cluster = cluster_,
                      .load = load_,
                      .tenants = tenants_,
                      .tenant_window = absl::Minutes(5),
                      .costs = costs_,
                      .currency = currency_,
                      .budget_per_month = budget_});
  }

  v1::DescribeClusterResponse cluster_;
  ClusterLoad::Now load_;
  std::map<std::string, TenantLoad> tenants_;
  NodeCosts costs_;
  std::string currency_;
  double budget_ = 0;
};

TEST_F(ClusterSummaryTest, SaysInASentenceHowItIs) {
  load_.tokens_per_s = 412.3;
  load_.capacity_tokens_per_s = 1312;
  load_.bottleneck = "shard-1, memory bandwidth";
  costs_.per_hour = 3.2;
  currency_ = "USD";
  budget_ = 4672;
  const v1::ClusterSummary summary = Make();
  EXPECT_EQ(summary.health(), v1::HEALTH_OK);
  EXPECT_EQ(summary.sentence(),
            "Healthy. 412 tokens/s; can take about 900 tokens/s more, then shard-1, memory "
            "bandwidth is the limit. Costs 3.20 USD an hour; 50 % of the month's budget.");
  EXPECT_EQ(summary.advice(), "");
}

TEST_F(ClusterSummaryTest, IdleWithoutPricesIsHealthy) {
  EXPECT_EQ(Make().sentence(), "Healthy. Idle.");
  currency_ = "USD";
  costs_.nodes_without_price = 2;
  EXPECT_THAT(Make().sentence(), HasSubstr("Its price is unknown."));
  EXPECT_THAT(Make().advice(), HasSubstr("2.0 nodes have no price"));
  costs_.per_hour = 3.2;
  EXPECT_THAT(Make().sentence(), HasSubstr("Costs at least 3.20 USD an hour."));
}

TEST_F(ClusterSummaryTest, NamesWhatIsWrongTheWorstFirst) {
  AddShard("shard-2", "SUSPECT");
  EXPECT_EQ(Make().health(), v1::HEALTH_IMPAIRED);
  EXPECT_THAT(Make().sentence(), HasSubstr("Serving, but shard-2 is lost from sight."));
  cluster_.set_units_uncovered(3);
  EXPECT_EQ(Make().health(), v1::HEALTH_DOWN);
  EXPECT_THAT(Make().sentence(),
              HasSubstr("3 units of 6 without a live replica: shard-2 is lost from sight."));
  cluster_.set_units_uncovered(0);
  cluster_.clear_routers();
  EXPECT_THAT(Make().sentence(), HasSubstr("No router is connected"));
  cluster_.Clear();
  EXPECT_THAT(Make().sentence(), HasSubstr("No shard has registered yet"));
}

TEST_F(ClusterSummaryTest, FullWithAQueueAsksForCapacity) {
  load_.tokens_per_s = 95;
  load_.capacity_tokens_per_s = 100;
  EXPECT_EQ(Make().health(), v1::HEALTH_OK) << "nobody waits";
  load_.waiting = 3;
  EXPECT_EQ(Make().health(), v1::HEALTH_IMPAIRED);
  EXPECT_THAT(Make().advice(), HasSubstr("Add capacity"));
}

TEST_F(ClusterSummaryTest, TenantsShareTheWholeCostInProportionToWhatTheyUsed) {
  costs_.per_hour = 12;  // 1 in five minutes
  currency_ = "USD";
  tenants_["a"] = {.tenant = "a", .prompt_tokens = 100, .generated_tokens = 100, .cost = 0.3};
  tenants_["b"] = {.tenant = "b", .prompt_tokens = 100, .generated_tokens = 100, .cost = 0.1};
  const v1::ClusterSummary summary = Make();
  ASSERT_EQ(summary.tenants_size(), 2);
  EXPECT_EQ(summary.tenants(0).tenant(), "a");
  EXPECT_DOUBLE_EQ(summary.tenants(0).cost(), 0.75);
  EXPECT_DOUBLE_EQ(summary.tenants(0).cost_per_million_tokens(), 3750);
  EXPECT_DOUBLE_EQ(summary.tenants(1).cost(), 0.25);
  EXPECT_DOUBLE_EQ(summary.cost_per_million_tokens(), 2500);
}

}  // namespace
}  // namespace moesaic::placement
