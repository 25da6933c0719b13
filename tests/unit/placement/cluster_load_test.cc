#include "placement/cluster_load.h"

#include "gtest/gtest.h"

namespace moesaic::placement {
namespace {

absl::Duration At(double seconds) { return absl::Seconds(seconds); }

RouterLoad Tokens(std::uint64_t generated, std::uint64_t prompt) {
  RouterLoad load;
  load.generated_tokens = generated;
  load.prompt_tokens = prompt;
  return load;
}

TEST(ClusterLoad, RatesAreMeansOverTenSeconds) {
  ClusterLoad load(At(0));
  for (int i = 1; i <= 10; ++i) {
    load.Add(At(2 * i), 1, Tokens(200, 20));
    load.Add(At(2 * i), 2, Tokens(100, 0));
  }
  EXPECT_DOUBLE_EQ(load.At(At(20)).tokens_per_s, 150);
  EXPECT_DOUBLE_EQ(load.At(At(20)).prompt_tokens_per_s, 10);
  load.Remove(2);
  EXPECT_DOUBLE_EQ(load.At(At(20)).tokens_per_s, 100);
  EXPECT_DOUBLE_EQ(load.At(At(31)).tokens_per_s, 0) << "silent routers do not compute";
}

TEST(ClusterLoad, AddsCapacitiesAndTakesTheLongestLatency) {
  ClusterLoad load(At(0));
  load.Add(At(2), 1,
           {.waiting = 1,
            .running = 2,
            .capacity_tokens_per_s = 300,
            .bottleneck = "shard-1",
            .ttft_p50_ms = 20,
            .itl_p95_ms = 9,
            .tenants = {}});
  load.Add(At(2), 2,
           {.running = 1,
            .capacity_tokens_per_s = 100,
            .bottleneck = "router compute",
            .ttft_p50_ms = 50,
            .itl_p95_ms = 3,
            .tenants = {}});
  const ClusterLoad::Now now = load.At(At(2));
  EXPECT_EQ(now.capacity_tokens_per_s, 400);
  EXPECT_EQ(now.bottleneck, "shard-1");
  EXPECT_EQ(now.running, 3u);
  EXPECT_EQ(now.waiting, 1u);
  EXPECT_EQ(now.ttft_p50_ms, 50);
  EXPECT_EQ(now.itl_p95_ms, 9);
}

TEST(ClusterLoad, LatenciesLastUntilTheNextOnesButNotForEver) {
  ClusterLoad load(At(0));
  RouterLoad first;
  first.ttft_p50_ms = 20;
  load.Add(At(2), 1, first);
  load.Add(At(4), 1, {});
  EXPECT_EQ(load.At(At(4)).ttft_p50_ms, 20);
  load.Add(At(12.5), 1, {});
  EXPECT_EQ(load.At(At(12.5)).ttft_p50_ms, 0);
}

TEST(ClusterLoad, TenantsAreSummedOverFiveMinutes) {
  ClusterLoad load(At(0));
  RouterLoad report;
  report.tenants = {{.tenant = "a", .requests = 1, .generated_tokens = 10, .cost = 0.5}};
  load.Add(At(10), 1, report);
  load.Add(At(200), 1, report);
  EXPECT_EQ(load.Tenants(At(200)).at("a").generated_tokens, 20u);
  EXPECT_EQ(load.Tenants(At(200)).at("a").cost, 1.0);
  EXPECT_EQ(load.tenant_window(At(200)), At(200));
  EXPECT_EQ(load.Tenants(At(320)).at("a").requests, 1u);
  EXPECT_TRUE(load.Tenants(At(600)).empty());
  EXPECT_EQ(load.tenant_window(At(600)), absl::Minutes(5));
}

TEST(ClusterLoad, TheHistoryIsBounded) {
  ClusterLoad load(At(0));
  for (int i = 0; i < 3000; ++i) load.Tick(At(i));
  EXPECT_EQ(load.history().size(), 450u);
  EXPECT_EQ(load.history().back().at - load.history().front().at, At(898));
}

}  // namespace
}  // namespace moesaic::placement
