#include "placement/node_costs.h"

#include <map>
#include <string_view>
#include <tuple>

namespace moesaic::placement {
namespace {

using Key = std::tuple<std::string_view, std::string, std::string>;

void AddShare(std::string_view role, const monitoring::NodeShare& node,
              std::map<Key, double>& shares) {
  const std::string capacity =
      node.capacity_type.empty() ? std::string(monitoring::kOnDemand) : node.capacity_type;
  shares[{role, node.price_class.empty() ? "unknown" : node.price_class, capacity}] += node.share;
}

}  // namespace

NodeCosts CostNodes(const Coordinator& coordinator, const CostInputs& inputs) {
  std::map<Key, double> shares;
  AddShare("coordinator", inputs.own, shares);
  for (const auto& [session, router] : coordinator.routers()) {
    AddShare("router", router.description.node_share, shares);
  }
  for (const auto& [id, member] : coordinator.membership().members()) {
    if (member.state == Member::State::kExpired) continue;
    AddShare("shard", member.description.node_share, shares);
  }
  NodeCosts costs;
  for (const auto& [key, nodes] : shares) {
    const auto& [role, type, capacity_type] = key;
    const std::string& node_type = type;  // a lambda captures no structured binding
    const double count = nodes;
    const auto price = [&](std::string_view capacity) -> std::optional<double> {
      if (inputs.prices == nullptr) return std::nullopt;
      const std::optional<double> node = inputs.prices->Lookup(node_type, capacity);
      return node ? std::optional<double>(*node * count) : std::nullopt;
    };
    NodeCosts::Line line{.role = std::string(role),
                         .node_type = node_type,
                         .capacity_type = capacity_type,
                         .nodes = nodes,
                         .per_hour = price(capacity_type),
                         .on_demand_per_hour = price(monitoring::kOnDemand)};
    costs.nodes += nodes;
    costs.per_hour += line.per_hour.value_or(0);
    // A type that can only be had on the spot market has nothing to be compared with.
    if (line.per_hour) costs.on_demand_per_hour += line.on_demand_per_hour.value_or(*line.per_hour);
    if (!line.per_hour) costs.nodes_without_price += nodes;
    costs.lines.push_back(std::move(line));
  }
  return costs;
}

}  // namespace moesaic::placement
