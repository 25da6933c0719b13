#pragma once

#include "monitoring/catalogue/metric_def.h"

namespace moesaic::monitoring::metrics {

// Dispatch to shards, as a router sees it.
inline constexpr GaugeDef kReadyShards{
    {"moesaic_ready_shards", "Shards that this process can send work to."}};
inline constexpr CounterDef kDispatchesTotal{
    {"moesaic_dispatches_total", "Dispatches sent to a shard.", {"shard"}}};
inline constexpr CounterDef kDispatchedRowsTotal{
    {"moesaic_dispatched_rows_total", "Token rows sent to a shard.", {"shard"}}};
inline constexpr GaugeDef kInFlightRows{
    {"moesaic_in_flight_rows", "Result rows awaited from a shard now.", {"shard"}}};
inline constexpr HistogramDef kDispatchDurationSeconds{
    {"moesaic_dispatch_duration_seconds",
     "From sending a dispatch to the last part of its answer.",
     {"shard"}},
    kDispatchBounds,
    8};
inline constexpr CounterDef kDispatchQueueWaitSecondsTotal{
    {"moesaic_dispatch_queue_wait_seconds_total",
     "Seconds answered dispatches waited in the shard, as it says.",
     {"shard"}}};
inline constexpr CounterDef kDispatchComputeSecondsTotal{
    {"moesaic_dispatch_compute_seconds_total",
     "Seconds the batches of answered dispatches took in the shard, as it says.",
     {"shard"}}};
inline constexpr CounterDef kWastedComputeSecondsTotal{
    {"moesaic_wasted_compute_seconds_total",
     "Seconds shards computed for results that came when nobody waited any more."}};
inline constexpr CounterDef kDispatchSentBytesTotal{
    {"moesaic_dispatch_sent_bytes_total", "Tensor bytes sent to a shard.", {"shard"}}};
inline constexpr CounterDef kDispatchReceivedBytesTotal{
    {"moesaic_dispatch_received_bytes_total", "Tensor bytes received from a shard.", {"shard"}}};
inline constexpr CounterDef kRpcErrorsTotal{
    {"moesaic_rpc_errors_total",
     "Broken dispatch streams and answers that were not OK, by code.",
     {"code"}}};
inline constexpr CounterDef kHedgesTotal{
    {"moesaic_hedges_total", "Dispatches sent to a second replica because the first was late."}};
inline constexpr CounterDef kHedgeWinsTotal{
    {"moesaic_hedge_wins_total", "Result rows that a hedge brought before the first replica."}};
inline constexpr CounterDef kRetriedUnitsTotal{
    {"moesaic_retried_units_total", "(Row, unit) pairs sent again, for whatever reason."}};
inline constexpr CounterDef kAbandonedDispatchesTotal{
    {"moesaic_abandoned_dispatches_total", "Dispatches taken from a shard that never answered."}};
inline constexpr CounterDef kShardSuspicionsTotal{
    {"moesaic_shard_suspicions_total", "Times a shard was avoided because it was silent."}};
inline constexpr CounterDef kRetryBudgetRefusalsTotal{
    {"moesaic_retry_budget_refusals_total",
     "Hedges and retries after a time-out that the budget did not allow."}};
inline constexpr GaugeDef kRetryBudgetLeft{
    {"moesaic_retry_budget_left", "Hedges and time-out retries the budget allows at once now."}};
inline constexpr CounterDef kThrottledUnitsTotal{
    {"moesaic_throttled_units_total", "(Row, unit) pairs kept back by a shard's flow limit."}};
inline constexpr GaugeDef kWaitingUnits{
    {"moesaic_waiting_units", "(Row, unit) pairs that wait for a replica."}};
inline constexpr CounterDef kDegradedUnitsTotal{
    {"moesaic_degraded_units_total",
     "(Row, unit) pairs left out because no live shard held the unit (--degraded renormalize)."}};
inline constexpr CounterDef kDegradedTokensTotal{
    {"moesaic_degraded_tokens_total",
     "Token positions computed without some of their experts (--degraded renormalize)."}};

}  // namespace moesaic::monitoring::metrics
