#pragma once

#include <string>

namespace moesaic::monitoring {

/// What part of what kind of node a process pays for. Several processes of one machine share its
/// price. Plain value.
struct NodeShare {
  std::string price_class;  ///< Node type in the price list; empty = not said, price unknown.
  std::string capacity_type = "on_demand";  ///< Or "spot".
  double share = 1;                         ///< Of the node's price, above 0 and at most 1.

  bool operator==(const NodeShare&) const = default;
};

}  // namespace moesaic::monitoring
