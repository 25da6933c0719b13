#include "router/router_metrics.h"

#include <algorithm>

#include "monitoring/catalogue.h"

namespace moesaic::router {
namespace {

namespace metrics = monitoring::metrics;

/// Brings a counter up to a total that is kept elsewhere.
template <typename Number>
void Raise(monitoring::Counter counter, Number total) {
  counter.Increment(std::max(0.0, static_cast<double>(total) - counter.Value()));
}

void RefreshScheduler(monitoring::Registry& registry, const Scheduler& scheduler) {
  const Scheduler::Stats stats = scheduler.stats();
  const std::int32_t kv_blocks = scheduler.kv_blocks();
  registry.Get(metrics::kQueueLength, {"normal"}).Set(stats.waiting);
  registry.Get(metrics::kQueueBytes, {"normal"}).Set(static_cast<double>(stats.waiting_bytes));
  registry.Get(metrics::kRunningGenerations).Set(stats.running);
  const double kv_usage =
      kv_blocks == 0 ? 0.0 : static_cast<double>(stats.kv_blocks_in_use) / kv_blocks;
  registry.Get(metrics::kKvCacheUsageRatio).Set(kv_usage);
  registry.Get(metrics::kSaturationRatio)
      .Set(std::max({kv_usage, static_cast<double>(stats.running) / scheduler.max_num_seqs(),
                     static_cast<double>(stats.waiting) / scheduler.max_queue()}));
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
  Raise(registry.Get(metrics::kWastedComputeSecondsTotal), stats.wasted_seconds);
  registry.Get(metrics::kRetryBudgetLeft).Set(stats.budget_left);
  for (const auto& [code, errors] : stats.errors) {
    Raise(registry.Get(metrics::kRpcErrorsTotal, {code}), errors);
  }
  registry.Get(metrics::kWaitingUnits).Set(static_cast<double>(stats.waiting_units));
  for (const ShardDispatchStats& shard : stats.shards) {
    Raise(registry.Get(metrics::kDispatchesTotal, {shard.name}), shard.dispatches);
    Raise(registry.Get(metrics::kDispatchedRowsTotal, {shard.name}), shard.rows);
    Raise(registry.Get(metrics::kDispatchQueueWaitSecondsTotal, {shard.name}),
          absl::ToDoubleSeconds(shard.queue_wait_sum));
    Raise(registry.Get(metrics::kDispatchComputeSecondsTotal, {shard.name}),
          absl::ToDoubleSeconds(shard.compute_sum));
    Raise(registry.Get(metrics::kDispatchSentBytesTotal, {shard.name}), shard.bytes_sent);
    Raise(registry.Get(metrics::kDispatchReceivedBytesTotal, {shard.name}), shard.bytes_received);
    registry.Get(metrics::kInFlightRows, {shard.name})
        .Set(static_cast<double>(shard.in_flight_rows));
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
