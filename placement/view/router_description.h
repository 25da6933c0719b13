#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "base/status_macros.h"
#include "monitoring/node_share.h"
#include "placement/view/node_share_proto.h"
#include "proto/moesaic/v1/coordinator.pb.h"

namespace moesaic::placement {

/// What a router is, besides its name and its model. Fixed for the life of its process.
struct RouterDescription {
  std::string http_address;  ///< host:port of its HTTP API.
  std::string node;
  std::string zone;
  monitoring::NodeShare node_share;
  std::string build;
  bool operator==(const RouterDescription&) const = default;
};

/// Errors: those of NodeShareFromProto.
inline absl::StatusOr<RouterDescription> RouterDescriptionFromProto(
    const v1::RouterRegistration& proto) {
  MOESAIC_ASSIGN_OR_RETURN(monitoring::NodeShare node_share, NodeShareFromProto(proto));
  return RouterDescription{.http_address = proto.http_address(),
                           .node = proto.node(),
                           .zone = proto.zone(),
                           .node_share = std::move(node_share),
                           .build = proto.build()};
}

inline v1::RouterRegistration RouterDescriptionToProto(const RouterDescription& router) {
  v1::RouterRegistration proto;
  proto.set_http_address(router.http_address);
  proto.set_node(router.node);
  proto.set_zone(router.zone);
  NodeShareToProto(router.node_share, proto);
  proto.set_build(router.build);
  return proto;
}

}  // namespace moesaic::placement
