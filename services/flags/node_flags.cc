#include "services/flags/node_flags.h"

namespace moesaic::services {
namespace {

/// Shares below this are a slip of the pen.
constexpr double kSmallestShare = 1e-6;

}  // namespace

void DeclareNodeFlags(FlagTable& table, std::string& zone, monitoring::NodeShare& node_share) {
  table.Add("zone", zone, "Failure zone of this machine");
  table.Add("price-class", node_share.price_class, "Node type in the price list");
  table
      .Add("capacity-type", node_share.capacity_type, "How the node is paid for: on_demand or spot")
      ->check(CLI::IsMember({"on_demand", "spot"}));
  table
      .Add("node-share", node_share.share,
           "Share of the node's price that this process carries, where several share a node")
      ->check(CLI::Range(kSmallestShare, 1.0));
}

}  // namespace moesaic::services
