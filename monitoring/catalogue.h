#pragma once

namespace moesaic::monitoring {

/// What a metric is called and means. Label names end at the first null. Immutable.
struct MetricDef {
  static constexpr int kMaxLabels = 3;
  const char* name;
  const char* help;
  const char* labels[kMaxLabels] = {};
};
struct CounterDef : MetricDef {};
struct GaugeDef : MetricDef {};
/// `buckets` points at ascending upper bounds; +Inf is added.
struct HistogramDef : MetricDef {
  const double* buckets;
  int bucket_count;
};

/// Every metric of Moesaic. Base units in names, `_total` on counters, no unbounded label.
namespace metrics {

// Bounds in seconds. Latencies of whole requests span five decades, of single tokens four.
inline constexpr double kRequestBounds[] = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,   2.5,
                                            5,    10,    20,   40,  80,   160, 320, 640};
inline constexpr double kTokenBounds[] = {0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08,
                                          0.15,  0.3,    0.6,   1.2,  2.5,  5,    10};

// Front.
inline constexpr CounterDef kRequestsTotal{{"moesaic_requests_total",
                                            "Finished HTTP and gRPC requests by endpoint and "
                                            "status code.",
                                            {"endpoint", "code"}}};
inline constexpr GaugeDef kRequestsInFlight{
    {"moesaic_requests_in_flight", "Generation requests accepted and not yet finished."}};
inline constexpr CounterDef kUnknownRequestFieldsTotal{
    {"moesaic_unknown_request_fields_total",
     "Fields of request bodies that were ignored because the API does not know them."}};
inline constexpr CounterDef kPromptTokensTotal{
    {"moesaic_prompt_tokens_total", "Prompt tokens of finished requests."}};
inline constexpr CounterDef kCachedPromptTokensTotal{
    {"moesaic_cached_prompt_tokens_total",
     "Prompt tokens of finished requests whose KV came from the prefix cache."}};
inline constexpr CounterDef kGeneratedTokensTotal{
    {"moesaic_generated_tokens_total", "Tokens generated and delivered."}};
inline constexpr HistogramDef kTimeToFirstTokenSeconds{
    {"moesaic_time_to_first_token_seconds", "From the arrival of a request to its first token."},
    kRequestBounds,
    16};
inline constexpr HistogramDef kInterTokenLatencySeconds{
    {"moesaic_inter_token_latency_seconds", "Between two tokens of one choice."}, kTokenBounds, 14};
inline constexpr HistogramDef kRequestDurationSeconds{
    {"moesaic_request_duration_seconds", "From the arrival of a generation request to its end."},
    kRequestBounds,
    16};
inline constexpr HistogramDef kRequestPhaseSeconds{
    {"moesaic_request_phase_seconds",
     "Seconds a generation spent in a phase (queue, prefill, decode).",
     {"phase"}},
    kRequestBounds,
    16};

// Scheduler.
inline constexpr GaugeDef kQueueLength{
    {"moesaic_queue_length", "Generations waiting for their first step."}};
inline constexpr GaugeDef kRunningGenerations{
    {"moesaic_running_generations", "Generations that take part in steps."}};
inline constexpr GaugeDef kKvCacheUsageRatio{
    {"moesaic_kv_cache_usage_ratio", "Share of the KV cache's blocks that is in use, 0 to 1."}};
inline constexpr CounterDef kPreemptionsTotal{
    {"moesaic_preemptions_total",
     "Generations put back into the queue because KV blocks ran out."}};

// Dispatch, as the router sees it.
inline constexpr CounterDef kDispatchesTotal{
    {"moesaic_dispatches_total", "Dispatches sent to a shard.", {"shard"}}};
inline constexpr CounterDef kDispatchedRowsTotal{
    {"moesaic_dispatched_rows_total", "Token rows sent to a shard.", {"shard"}}};
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
inline constexpr GaugeDef kReadyShards{
    {"moesaic_ready_shards", "Shards that this process can send work to."}};

// Placement, as the coordinator sees it.
inline constexpr GaugeDef kUnitsUncovered{
    {"moesaic_units_uncovered", "Units that no live shard holds."}};
inline constexpr GaugeDef kUnitsBelowReplicas{
    {"moesaic_units_below_replicas", "Units with fewer live replicas than wanted."}};
inline constexpr GaugeDef kUnitsSharingNode{{"moesaic_units_sharing_node",
                                             "Units whose wanted replicas lie on fewer nodes than "
                                             "they should, for want of nodes or memory."}};
inline constexpr GaugeDef kUnitsSharingZone{
    {"moesaic_units_sharing_zone",
     "Units whose wanted replicas lie in fewer zones than they should, for want of zones or "
     "memory."}};
inline constexpr GaugeDef kPlacementVersion{
    {"moesaic_placement_version", "Version of the published placement within its term."}};
inline constexpr GaugeDef kPlacementTerm{
    {"moesaic_placement_term", "Term of the coordinator that published the placement."}};
inline constexpr GaugeDef kMovesInFlight{
    {"moesaic_moves_in_flight", "Loads and unloads that shards are carrying out."}};
inline constexpr GaugeDef kRegisteredShards{
    {"moesaic_registered_shards", "Shards whose lease has not ended."}};

// Process.
inline constexpr GaugeDef kBuildInfo{{"moesaic_build_info",
                                      "Always 1; its labels say what is running.",
                                      {"version", "role", "numerics_id"}}};

}  // namespace metrics
}  // namespace moesaic::monitoring
