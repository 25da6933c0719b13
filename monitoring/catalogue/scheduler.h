#pragma once

#include "monitoring/catalogue/metric_def.h"

namespace moesaic::monitoring::metrics {

// The scheduler and the steps of a router. Priorities: only "normal" so far.
inline constexpr GaugeDef kQueueLength{
    {"moesaic_queue_length", "Generations waiting for their first step.", {"priority"}}};
inline constexpr GaugeDef kQueueBytes{
    {"moesaic_queue_bytes", "Bytes of the prompts of those generations.", {"priority"}}};
inline constexpr HistogramDef kQueueWaitSeconds{
    {"moesaic_queue_wait_seconds",
     "From submission to the first step of a generation.",
     {"priority"}},
    kRequestBounds,
    16};
inline constexpr GaugeDef kRunningGenerations{
    {"moesaic_running_generations", "Generations that take part in steps."}};
inline constexpr GaugeDef kKvCacheUsageRatio{
    {"moesaic_kv_cache_usage_ratio", "Share of the KV cache's blocks that is in use, 0 to 1."}};
inline constexpr GaugeDef kSaturationRatio{
    {"moesaic_saturation_ratio",
     "The fullest of running generations, queue and KV cache, as a share of its limit, 0 to 1."}};
inline constexpr CounterDef kPreemptionsTotal{
    {"moesaic_preemptions_total",
     "Generations put back into the queue because KV blocks ran out."}};
// Steps: prefill = with rows of prompts, decode = without.
inline constexpr CounterDef kStepsTotal{{"moesaic_steps_total",
                                         "Steps computed, by what was in them (prefill = rows of "
                                         "prompts, among others; decode = none).",
                                         {"step"}}};
inline constexpr CounterDef kStepRowsTotal{
    {"moesaic_step_rows_total", "Positions computed in steps.", {"step"}}};
inline constexpr CounterDef kStepsByMicroBatchesTotal{
    {"moesaic_steps_by_micro_batches_total",
     "Steps computed, by the micro-batches they were divided into, 1 or 2.",
     {"micro_batches"}}};
inline constexpr HistogramDef kStepDurationSeconds{
    {"moesaic_step_duration_seconds", "From the start of a step to its last result."},
    kTokenBounds,
    14};
inline constexpr HistogramDef kStepTokens{
    {"moesaic_step_tokens", "Positions computed in one step."}, kRowBounds, 7};
inline constexpr CounterDef kStepPhaseSecondsTotal{
    {"moesaic_step_phase_seconds_total",
     "Seconds of steps by phase, also of steps that failed: attention, gate, shared, combine, "
     "head, "
     "sample, other, pack (rows for the wire) on this machine; wire, queue and expert (computing) "
     "while it waits for the shards.",
     {"step", "phase"}}};
inline constexpr CounterDef kBusySecondsTotal{
    {"moesaic_busy_seconds_total",
     "Seconds this process computed, by phase of the work (prefill, decode). A process computes "
     "one thing at a time, on all its threads.",
     {"phase"}}};
inline constexpr GaugeDef kCapacityTokensPerSecond{
    {"moesaic_capacity_tokens_per_second",
     "Generated tokens per second this router could deliver at saturation with the present mix of "
     "requests. 0 = not known yet."}};
inline constexpr GaugeDef kThroughputTokensPerSecond{
    {"moesaic_throughput_tokens_per_second",
     "Generated tokens per second at present, averaged over about ten seconds."}};

}  // namespace moesaic::monitoring::metrics
