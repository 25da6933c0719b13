#pragma once

#include "monitoring/catalogue/metric_def.h"

namespace moesaic::monitoring::metrics {

// Placement, as the coordinator sees it.
inline constexpr GaugeDef kRegisteredShards{
    {"moesaic_registered_shards", "Shards whose lease has not ended."}};
inline constexpr GaugeDef kConnectedRouters{
    {"moesaic_connected_routers", "Routers that follow the placement."}};
inline constexpr GaugeDef kServingShards{
    {"moesaic_serving_shards", "Shards that serve and hold units."}};
inline constexpr GaugeDef kReadyReplicas{
    {"moesaic_ready_replicas", "Replicas of units on live shards."}};
inline constexpr GaugeDef kDesiredShards{
    {"moesaic_desired_shards",
     "Shards somebody asked for (moesaic scale, an autoscaler). 0 = nobody did."}};
inline constexpr GaugeDef kUnitsUncovered{
    {"moesaic_units_uncovered", "Units that no live shard holds."}};
inline constexpr GaugeDef kUnitsBelowReplicas{
    {"moesaic_units_below_replicas", "Units with fewer live replicas than wanted."}};
inline constexpr GaugeDef kUnitsSharingNode{{"moesaic_units_sharing_node",
                                             "Units whose wanted replicas lie on fewer nodes than "
                                             "they should, for want of nodes or memory."}};
inline constexpr GaugeDef kUnitsSharingZone{{"moesaic_units_sharing_zone",
                                             "Units whose wanted replicas lie in fewer zones than "
                                             "they should, for want of zones or memory."}};
inline constexpr GaugeDef kPlacementVersion{
    {"moesaic_placement_version", "Version of the published placement within its term."}};
inline constexpr GaugeDef kPlacementTerm{
    {"moesaic_placement_term", "Term of the coordinator that published the placement."}};
inline constexpr CounterDef kRebalancesTotal{
    {"moesaic_rebalances_total",
     "Times a new placement was decided, by reason (membership, load, request, emergency).",
     {"reason"}}};
inline constexpr GaugeDef kRebalancing{
    {"moesaic_rebalancing", "1 while shards are on the way to the wanted placement."}};
inline constexpr GaugeDef kMovesInFlight{
    {"moesaic_moves_in_flight", "Loads and unloads that shards are carrying out."}};
inline constexpr CounterDef kMovesTotal{
    {"moesaic_moves_total",
     "Loads and unloads that ended, by kind (load, unload) and outcome (ok, failed).",
     {"kind", "outcome"}}};
inline constexpr CounterDef kMovedBytesTotal{
    {"moesaic_moved_bytes_total", "Bytes of expert weights that moves loaded."}};
inline constexpr GaugeDef kExpertImbalanceRatio{
    {"moesaic_expert_imbalance_ratio",
     "Predicted busy time of the busiest shard over the mean of all, at the present load. 1 = "
     "even."}};
inline constexpr GaugeDef kExpertTokensPerSecond{
    {"moesaic_expert_tokens_per_second",
     "(Row, expert) assignments per second by shard and group of eight layers.",
     {"shard", "layers"}}};
inline constexpr GaugeDef kHotExpertTokensPerSecond{
    {"moesaic_hot_expert_tokens_per_second",
     "Assignments per second of the most used units; the console says which they are.",
     {"rank"}}};
inline constexpr GaugeDef kHotExpertReplicas{
    {"moesaic_hot_expert_replicas", "Live replicas of the most used units.", {"rank"}}};
inline constexpr CounterDef kShardsLostTotal{
    {"moesaic_shards_lost_total", "Shards whose lease ended without a farewell."}};
inline constexpr GaugeDef kRemovalsFrozen{
    {"moesaic_removals_frozen",
     "1 while removals are frozen because too many leases ended at once."}};
inline constexpr GaugeDef kClusterCapacityTokensPerSecond{
    {"moesaic_cluster_capacity_tokens_per_second",
     "Generated tokens per second the whole cluster could deliver with the present mix of "
     "requests. 0 = not known yet."}};
inline constexpr GaugeDef kClusterThroughputTokensPerSecond{
    {"moesaic_cluster_throughput_tokens_per_second",
     "Generated tokens per second of all routers."}};

}  // namespace moesaic::monitoring::metrics
