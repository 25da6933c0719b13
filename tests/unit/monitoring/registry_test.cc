#include "monitoring/registry.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "monitoring/raise_to.h"

namespace moesaic::monitoring {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

TEST(RegistryTest, ExposesWhatWasRecorded) {
  Registry registry;
  registry.Get(metrics::kRequestsTotal, {"/completions", "200"}).Increment();
  registry.Get(metrics::kRequestsTotal, {"/completions", "200"}).Increment(2);
  registry.Get(metrics::kQueueLength, {"normal"}).Set(7);
  registry.Get(metrics::kTimeToFirstTokenSeconds).Observe(0.3);
  const std::string text = registry.Exposition();
  EXPECT_THAT(text, HasSubstr("# HELP moesaic_requests_total "));
  EXPECT_THAT(text, HasSubstr("# TYPE moesaic_requests_total counter"));
  EXPECT_THAT(text, HasSubstr("moesaic_requests_total{code=\"200\",endpoint=\"/completions\"} 3"));
  EXPECT_THAT(text, HasSubstr("moesaic_queue_length{priority=\"normal\"} 7"));
  EXPECT_THAT(text, HasSubstr("moesaic_time_to_first_token_seconds_bucket{le=\"0.25\"} 0"));
  EXPECT_THAT(text, HasSubstr("moesaic_time_to_first_token_seconds_bucket{le=\"0.5\"} 1"));
}

TEST(RegistryTest, ScrapeRefreshesGauges) {
  Registry registry;
  Gauge ready = registry.Get(metrics::kReadyShards);
  int shards = 3;
  registry.OnScrape([&] { ready.Set(shards); });
  EXPECT_THAT(registry.Exposition(), HasSubstr("moesaic_ready_shards 3"));
  shards = 2;
  EXPECT_THAT(registry.Exposition(), HasSubstr("moesaic_ready_shards 2"));
}

TEST(RegistryTest, ACounterFollowsATotalUpwards) {
  Registry registry;
  Counter counter = registry.Get(metrics::kPreemptionsTotal);
  RaiseTo(5, counter);
  EXPECT_EQ(counter.Value(), 5);
  RaiseTo(3, counter);
  EXPECT_EQ(counter.Value(), 5);
}

TEST(RegistryTest, ScrapesAtOnceRefreshOneAfterTheOther) {
  Registry registry;
  std::atomic<int> inside{0};
  registry.OnScrape([&] {
    EXPECT_EQ(inside++, 0) << "a total would be added twice";
    std::this_thread::yield();
    --inside;
  });
  std::vector<std::thread> scrapes;
  for (int i = 0; i < 4; ++i) {
    scrapes.emplace_back([&registry] {
      for (int k = 0; k < 500; ++k) registry.Exposition();
    });
  }
  for (std::thread& scrape : scrapes) scrape.join();
}

TEST(RegistryTest, SameSeriesFromEveryLookup) {
  Registry registry;
  registry.Get(metrics::kGeneratedTokensTotal, {"acme"}).Increment(5);
  EXPECT_EQ(registry.Get(metrics::kGeneratedTokensTotal, {"acme"}).Value(), 5);
}

TEST(RegistryDeathTest, WrongNumberOfLabelsIsOurBug) {
  Registry registry;
  EXPECT_DEATH(registry.Get(metrics::kRequestsTotal, {"/completions"}), "CHECK failed");
}

/// Names follow Prometheus's rules: our prefix, `_total` on counters and nowhere else.
TEST(CatalogueTest, NamesFollowTheRules) {
  const MetricDef counters[] = {metrics::kRequestsTotal,        metrics::kUnknownRequestFieldsTotal,
                                metrics::kPromptTokensTotal,    metrics::kCachedPromptTokensTotal,
                                metrics::kGeneratedTokensTotal, metrics::kPreemptionsTotal,
                                metrics::kDispatchesTotal,      metrics::kDispatchedRowsTotal};
  for (const MetricDef& def : counters)
    EXPECT_THAT(def.name, MatchesRegex("moesaic_[a-z_]+_total"));
  const MetricDef histograms[] = {metrics::kTimeToFirstTokenSeconds,
                                  metrics::kInterTokenLatencySeconds,
                                  metrics::kRequestDurationSeconds, metrics::kRequestPhaseSeconds};
  for (const MetricDef& def : histograms)
    EXPECT_THAT(def.name, MatchesRegex("moesaic_[a-z_]+_seconds"));
}

TEST(RegistryTest, SeriesOfWhatHasLeftAreGone) {
  Registry registry;
  registry.SetSeries(metrics::kHotExpertReplicas, {{{"1"}, 2}, {{"2"}, 3}});
  registry.SetSeries(metrics::kHotExpertReplicas, {{{"2"}, 4}, {{"3"}, 5}});
  const std::string text = registry.Exposition();
  EXPECT_THAT(text, Not(HasSubstr("rank=\"1\"")));
  EXPECT_THAT(text, HasSubstr("moesaic_hot_expert_replicas{rank=\"2\"} 4"));
  EXPECT_THAT(text, HasSubstr("moesaic_hot_expert_replicas{rank=\"3\"} 5"));
  registry.SetSeries(metrics::kHotExpertReplicas, {});
  EXPECT_THAT(registry.Exposition(), Not(HasSubstr("moesaic_hot_expert_replicas{")));
}

}  // namespace
}  // namespace moesaic::monitoring
