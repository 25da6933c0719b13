#pragma once

#include <string>

#include "proto/moesaic/v1/coordinator.pb.h"

namespace moesaic::services {

/// What a picture of the cluster is drawn for.
struct TopScreen {
  int columns = 80;
  int rows = 0;  ///< 0 = as many as it takes.
  bool colour = false;
};

/// The cluster at a glance, as lines that fit the screen: how it is, tokens per second, latency,
/// headroom, cost, routers, shards with bars, tenants, the last events. Pure. Lines end with \n;
/// control characters in names are replaced, so that no name can drive the terminal.
std::string DrawTop(const v1::DescribeClusterResponse& cluster, const TopScreen& screen);

}  // namespace moesaic::services
