#include "router/dispatch/unit_load.h"

#include <algorithm>
#include <utility>

namespace moesaic::router {

void UnitLoad::SetTopology(const placement::ExpertTopology& topology, absl::Duration now) {
  if (topology == topology_) return;
  topology_ = topology;
  since_ = now;
  calls_ = 0;
  rows_.assign(topology.units_total(), 0);
  experts_.assign(topology.units_total(), 0);
  last_call_.assign(topology.moe_layers.size() * topology.experts_per_layer, 0);
}

void UnitLoad::Count(const ExpertCallState& call) {
  const auto layer = topology_.LayerIndex(call.call().layer);
  if (!layer) return;
  ++calls_;
  const std::size_t first_unit = std::size_t{*layer} * topology_.units_per_layer();
  const std::size_t first_expert = std::size_t{*layer} * topology_.experts_per_layer;
  for (std::int32_t slot = 0; slot < call.slot_count(); ++slot) {
    const std::size_t unit = first_unit + call.unit_of(slot).value();
    const auto experts = call.experts_of(slot);
    rows_[unit] += static_cast<std::uint32_t>(experts.size());
    for (const std::uint32_t expert : experts) {
      // Ids of calls are never 0 and never come again.
      experts_[unit] += std::exchange(last_call_[first_expert + expert], call.id()) != call.id();
    }
  }
}

placement::LoadReport UnitLoad::Take(const std::vector<ShardDispatchStats>& shards,
                                     absl::Duration now) {
  placement::LoadReport report{.window = now - std::exchange(since_, now),
                               .calls = std::exchange(calls_, 0),
                               .units = {},
                               .shards = {},
                               .router = {}};
  for (std::uint32_t unit = 0; unit < rows_.size(); ++unit) {
    if (rows_[unit] == 0) continue;
    report.units.push_back({.number = unit,
                            .rows = std::exchange(rows_[unit], 0),
                            .experts = std::exchange(experts_[unit], 0)});
  }
  for (const ShardDispatchStats& shard : shards) {
    ShardDispatchStats& last = before_[shard.name];
    // Counters that went back are those of a new link.
    const bool grown = last.answered <= shard.answered && last.rows <= shard.rows;
    const ShardDispatchStats since = grown ? last : ShardDispatchStats{};
    last = shard;
    if (shard.answered == since.answered) continue;
    report.shards.push_back({.id = shard.id,
                             .dispatches = shard.answered - since.answered,
                             .rows = shard.rows - since.rows,
                             .round_trip = shard.round_trip_sum - since.round_trip_sum,
                             .queue_wait = shard.queue_wait_sum - since.queue_wait_sum,
                             .compute = shard.compute_sum - since.compute_sum});
  }
  return report;
}

}  // namespace moesaic::router
