#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "monitoring/node_share.h"

namespace moesaic::placement {

/// The node share that a ShardRegistration, a RouterRegistration or a PlacedShard tells of.
/// Errors: InvalidArgument for a share outside (0, 1] or a capacity type that is none.
template <typename Proto>
absl::StatusOr<monitoring::NodeShare> NodeShareFromProto(const Proto& proto) {
  const double share = proto.node_share() == 0 ? 1 : proto.node_share();
  if (!(share > 0 && share <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat("node_share ", share, " is not in (0, 1]"));
  }
  const std::string capacity = proto.capacity_type().empty() ? "on_demand" : proto.capacity_type();
  if (capacity != "on_demand" && capacity != "spot") {
    return absl::InvalidArgumentError(
        absl::StrCat("capacity_type '", capacity, "' is neither on_demand nor spot"));
  }
  return monitoring::NodeShare{
      .price_class = proto.price_class(), .capacity_type = capacity, .share = share};
}

template <typename Proto>
void NodeShareToProto(const monitoring::NodeShare& node, Proto& proto) {
  proto.set_price_class(node.price_class);
  proto.set_capacity_type(node.capacity_type);
  proto.set_node_share(node.share);
}

}  // namespace moesaic::placement
