#pragma once

#include <string>

#include "placement/cluster_load.h"
#include "placement/node_costs.h"
#include "proto/moesaic/v1/coordinator.pb.h"

namespace moesaic::placement {

/// What a summary is made of, beside the cluster's members. Borrowed for the call.
struct SummaryInputs {
  const v1::DescribeClusterResponse& cluster;  ///< All but its summary.
  const ClusterLoad::Now& load;
  const std::map<std::string, TenantLoad>& tenants;
  absl::Duration tenant_window;
  const NodeCosts& costs;
  std::string currency;  ///< Empty: there is no price list.
  double budget_per_month = 0;
  double imbalance = 0;
};

/// The cluster at a glance, in numbers and in words: how it is, what it does, how much more it can
/// take, what it costs, whose cost that is, what to do. Pure.
v1::ClusterSummary Summarise(const SummaryInputs& inputs);

}  // namespace moesaic::placement
