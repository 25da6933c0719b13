#include "router/router_metrics.h"

#include <algorithm>

#include "monitoring/catalogue.h"

namespace moesaic::router {
namespace {

namespace metrics = monitoring::metrics;

/// Brings a counter up to a total that is kept elsewhere.
void Raise(monitoring::Counter counter, std::uint64_t total) {
  counter.Increment(std::max(0.0, static_cast<double>(total) - counter.Value()));
}

void RefreshScheduler(monitoring::Registry& registry, const Scheduler& scheduler) {
  const Scheduler::Stats stats = scheduler.stats();
  const std::int32_t kv_blocks = scheduler.kv_blocks();
  registry.Get(metrics::kQueueLength, {"normal"}).Set(stats.waiting);
  registry.Get(metrics::kRunningGenerations).Set(stats.running);
  registry.Get(metrics::kKvCacheUsageRatio)
      .Set(kv_blocks == 0 ? 0.0 : static_cast<double>(stats.kv_blocks_in_use) / kv_blocks);
  Raise(registry.Get(metrics::kPreemptionsTotal), stats.preemptions);
  Raise(registry.Get(metrics::kDegradedTokensTotal), stats.degraded_tokens);
}

void RefreshDispatcher(monitoring::Registry& registry, const ExpertDispatcher& dispatcher) {
  int ready = 0;
  const DispatchStats stats = dispatcher.Stats();
  Raise(registry.Get(metrics::kHedgesTotal), stats.hedges);
  Raise(registry.Get(metrics::kHedgeWinsTotal), stats.hedge_wins);
  Raise(registry.Get(metrics::kRetriedUnitsTotal), stats.retried_units);
  Raise(registry.Get(metrics::kAbandonedDispatchesTotal), stats.abandoned);
  Raise(registry.Get(metrics::kShardSuspicionsTotal), stats.suspicions);
  Raise(registry.Get(metrics::kRetryBudgetRefusalsTotal), stats.budget_refusals);
  Raise(registry.Get(metrics::kThrottledUnitsTotal), stats.throttled_units);
  Raise(registry.Get(metrics::kDegradedUnitsTotal), stats.skipped_units);
  registry.Get(metrics::kWaitingUnits).Set(static_cast<double>(stats.waiting_units));
  for (const ShardDispatchStats& shard : stats.shards) {
    Raise(registry.Get(metrics::kDispatchesTotal, {shard.name}), shard.dispatches);
    Raise(registry.Get(metrics::kDispatchedRowsTotal, {shard.name}), shard.rows);
    ready += shard.decode_connected && shard.prefill_connected;
  }
  registry.Get(metrics::kReadyShards).Set(ready);
}

}  // namespace

void ExportRouterMetrics(monitoring::Registry& registry, const Scheduler& scheduler,
                         const ExpertDispatcher& dispatcher) {
  registry.OnScrape([&registry, &scheduler, &dispatcher] {
    RefreshScheduler(registry, scheduler);
    RefreshDispatcher(registry, dispatcher);
  });
}

}  // namespace moesaic::router
