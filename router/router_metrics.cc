#include "router/router_metrics.h"

#include <algorithm>
#include <vector>

#include "monitoring/catalogue.h"
#include "monitoring/raise_to.h"

namespace moesaic::router {
namespace {

namespace metrics = monitoring::metrics;

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
      .Set(SaturationRatio(kv_usage, stats.running, scheduler.max_num_seqs(), stats.waiting,
                           scheduler.max_queue()));
  RaiseTo(stats.preemptions, registry.Get(metrics::kPreemptionsTotal));
  RaiseTo(stats.degraded_tokens, registry.Get(metrics::kDegradedTokensTotal));
}

}  // namespace

double SaturationRatio(double kv_usage, int running, int max_running, int waiting,
                       int max_waiting) {
  // What was preempted waits as well, beyond the queue's limit.
  const auto share = [](int used, int limit) {
    return std::min(1.0, static_cast<double>(used) / limit);
  };
  return std::max({kv_usage, share(running, max_running), share(waiting, max_waiting)});
}

void RefreshDispatchMetrics(const DispatchStats& stats, monitoring::Registry& registry) {
  int ready = 0;
  std::vector<monitoring::Registry::Sample> in_flight;
  RaiseTo(stats.hedges, registry.Get(metrics::kHedgesTotal));
  RaiseTo(stats.hedge_wins, registry.Get(metrics::kHedgeWinsTotal));
  RaiseTo(stats.retried_units, registry.Get(metrics::kRetriedUnitsTotal));
  RaiseTo(stats.abandoned, registry.Get(metrics::kAbandonedDispatchesTotal));
  RaiseTo(stats.suspicions, registry.Get(metrics::kShardSuspicionsTotal));
  RaiseTo(stats.budget_refusals, registry.Get(metrics::kRetryBudgetRefusalsTotal));
  RaiseTo(stats.throttled_units, registry.Get(metrics::kThrottledUnitsTotal));
  RaiseTo(stats.skipped_units, registry.Get(metrics::kDegradedUnitsTotal));
  RaiseTo(stats.wasted_seconds, registry.Get(metrics::kWastedComputeSecondsTotal));
  registry.Get(metrics::kRetryBudgetLeft).Set(stats.budget_left);
  for (const auto& [code, errors] : stats.errors) {
    RaiseTo(errors, registry.Get(metrics::kRpcErrorsTotal, {code}));
  }
  registry.Get(metrics::kWaitingUnits).Set(static_cast<double>(stats.waiting_units));
  for (const ShardDispatchStats& shard : stats.shards) {
    RaiseTo(shard.dispatches, registry.Get(metrics::kDispatchesTotal, {shard.name}));
    RaiseTo(shard.rows, registry.Get(metrics::kDispatchedRowsTotal, {shard.name}));
    RaiseTo(absl::ToDoubleSeconds(shard.queue_wait_sum),
            registry.Get(metrics::kDispatchQueueWaitSecondsTotal, {shard.name}));
    RaiseTo(absl::ToDoubleSeconds(shard.compute_sum),
            registry.Get(metrics::kDispatchComputeSecondsTotal, {shard.name}));
    RaiseTo(shard.bytes_sent, registry.Get(metrics::kDispatchSentBytesTotal, {shard.name}));
    RaiseTo(shard.bytes_received, registry.Get(metrics::kDispatchReceivedBytesTotal, {shard.name}));
    in_flight.push_back({{shard.name}, static_cast<double>(shard.in_flight_rows)});
    ready += shard.decode_connected && shard.prefill_connected;
  }
  registry.SetSeries(metrics::kInFlightRows, in_flight);
  registry.Get(metrics::kReadyShards).Set(ready);
}

void ExportRouterMetrics(monitoring::Registry& registry, const Scheduler& scheduler,
                         const ExpertDispatcher& dispatcher) {
  registry.OnScrape([&registry, &scheduler, &dispatcher] {
    RefreshScheduler(registry, scheduler);
    RefreshDispatchMetrics(dispatcher.Stats(), registry);
  });
}

}  // namespace moesaic::router
