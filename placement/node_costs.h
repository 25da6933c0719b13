#pragma once

#include <optional>
#include <string>
#include <vector>

#include "monitoring/cost/price_list.h"
#include "monitoring/node_share.h"
#include "placement/coordinator.h"

namespace moesaic::placement {

/// What a coordinator knows of money beside its members' node shares. Borrowed for a call.
struct CostInputs {
  const monitoring::PriceList* prices = nullptr;  ///< nullptr: no price is known.
  monitoring::NodeShare own;                      ///< The coordinator's.
};

/// What the nodes of a cluster cost: every process brings its share of its node. Plain value.
struct NodeCosts {
  /// Processes of one role on one kind of node.
  struct Line {
    std::string role;  ///< "shard", "router" or "coordinator".
    std::string node_type;
    std::string capacity_type;
    double nodes = 0;                          ///< In node shares.
    std::optional<double> per_hour;            ///< Empty: the price is unknown.
    std::optional<double> on_demand_per_hour;  ///< The same if paid on demand.
  };
  std::vector<Line> lines;
  // Sums over what has a price.
  double per_hour = 0;
  double on_demand_per_hour = 0;
  double nodes = 0;
  double nodes_without_price = 0;
};

/// Of every member that has not left, every connected router and the coordinator.
NodeCosts CostNodes(const Coordinator& coordinator, const CostInputs& inputs);

}  // namespace moesaic::placement
