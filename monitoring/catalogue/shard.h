#pragma once

#include "monitoring/catalogue/metric_def.h"

namespace moesaic::monitoring::metrics {

// A shard, as it sees itself.
inline constexpr GaugeDef kShardHeldUnits{
    {"moesaic_shard_held_units", "Units that can be computed here."}};
inline constexpr GaugeDef kShardHeldBytes{
    {"moesaic_shard_held_bytes", "Bytes of expert weights held."}};
inline constexpr GaugeDef kShardMemoryBytes{
    {"moesaic_shard_memory_bytes", "Limit on those bytes."}};
inline constexpr CounterDef kExpertRowsTotal{
    {"moesaic_expert_rows_total",
     "(Row, expert) assignments computed, by group of eight layers.",
     {"layers"}}};
inline constexpr CounterDef kShardBatchesTotal{
    {"moesaic_shard_batches_total", "Batches computed."}};
inline constexpr HistogramDef kShardBatchTokens{
    {"moesaic_shard_batch_tokens", "(Row, expert) assignments of one batch."}, kRowBounds, 7};
inline constexpr CounterDef kShardQueueWaitSecondsTotal{
    {"moesaic_shard_queue_wait_seconds_total",
     "Seconds dispatches waited for their batch, by lane.",
     {"lane"}}};
inline constexpr GaugeDef kShardQueueRows{
    {"moesaic_shard_queue_rows", "Rows waiting, by lane.", {"lane"}}};
inline constexpr CounterDef kShardDispatchesTotal{
    {"moesaic_shard_dispatches_total", "Dispatches answered, by outcome.", {"code"}}};
inline constexpr CounterDef kShardReceivedBytesTotal{
    {"moesaic_shard_received_bytes_total", "Tensor bytes of dispatches received."}};
inline constexpr CounterDef kShardSentBytesTotal{
    {"moesaic_shard_sent_bytes_total", "Tensor bytes of answers sent."}};
inline constexpr CounterDef kUnitLoadsTotal{{"moesaic_unit_loads_total", "Units loaded."}};
inline constexpr GaugeDef kSecondsPerRow{
    {"moesaic_seconds_per_row", "Measured seconds of one more assignment. 0 = not measured."}};
inline constexpr GaugeDef kSecondsPerExpert{
    {"moesaic_seconds_per_expert",
     "Measured seconds of one more distinct expert. 0 = not measured."}};
inline constexpr GaugeDef kDraining{
    {"moesaic_draining", "1 while this process finishes what it has and takes no more."}};

}  // namespace moesaic::monitoring::metrics
