#pragma once

#include <string>
#include <utility>

#include "monitoring/cost/price_list.h"
#include "monitoring/registry.h"
#include "placement/coordinator.h"
#include "placement/expert_figures.h"
#include "placement/node_costs.h"
#include "proto/moesaic/v1/coordinator.pb.h"

namespace moesaic::placement {

/// What people and Prometheus are shown of a cluster: one place makes it all, so that the console,
/// `moesaic top`, `moesaic status` and the gauges say the same. Single-thread, on the coordinator's
/// loop.
class ClusterView {
 public:
  struct Options {
    monitoring::PriceListFile* prices = nullptr;  ///< nullptr: no price is known.
    monitoring::NodeShare own;                    ///< The coordinator's part of its node.
    double budget_per_month = 0;                  ///< 0 = nothing was said.
  };

  /// Borrows the coordinator.
  ClusterView(const Coordinator& coordinator, Options options)
      : coordinator_(coordinator), options_(std::move(options)) {}

  /// As Coordinator.DescribeCluster answers.
  v1::DescribeClusterResponse Describe();
  /// Layer by unit, for the console's heat map: JSON of {epoch, layers, units_per_layer, unit_size,
  /// rows_per_s: [layer][unit], holders: [layer][unit][shard ids], live or not}.
  std::string ExpertsJson() const;
  /// The last quarter of an hour, for the console's charts: JSON of {interval_s, age_s: [],
  /// tokens_per_s: [], …}, oldest first.
  std::string HistoryJson() const;
  /// Brings the coordinator's series in `registry` up to date.
  void Refresh(monitoring::Registry& registry);

 private:
  const ExpertFigures& Experts();

  const Coordinator& coordinator_;
  const Options options_;
  ExpertFigures experts_;
  absl::Duration experts_made_at_ = -absl::InfiniteDuration();
};

}  // namespace moesaic::placement
