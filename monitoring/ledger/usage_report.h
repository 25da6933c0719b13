#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "monitoring/cost/cost_model.h"
#include "monitoring/ledger/ledger_store.h"

namespace moesaic::monitoring {

/// What a report tells apart.
enum class UsageKey { kDay, kTenant, kModel };

/// A line of a report: what some requests used, what that cost, and what they bear of the time that
/// nobody used and of what all share. Plain value.
struct UsageLine {
  UsageSum sum;  ///< Empty where the report does not tell apart.
  double direct_cost = 0;
  double idle_cost = 0;     ///< Its share of what is in no request's direct cost.
  TokenPrices per_million;  ///< Of both costs together; unknown when some work has no price.
  bool unpriced = false;    ///< Some of its work ran on nodes without a price.
  double full_cost() const { return direct_cost + idle_cost; }
};

/// Nodes against requests, of one currency: whether the ledger agrees with the bill. Plain value.
struct Reconciliation {
  std::string currency;    ///< Empty: nodes and requests without a price list.
  double node_cost = 0;    ///< Price × time of all processes.
  double idle_cost = 0;    ///< Of it, while they computed nothing, as they say themselves.
  double direct_cost = 0;  ///< Of all requests.
  /// node_cost of days on which nobody used anything, by day.
  std::map<std::string, double> unallocated;
  double unpriced_node_seconds = 0;
  /// Of node_cost, what neither requests nor idle time explain.
  double difference() const { return node_cost - direct_cost - idle_cost; }
};

struct UsageReport {
  std::vector<UsageLine> lines;        ///< Ascending by day, tenant, model, currency.
  std::vector<Reconciliation> totals;  ///< By currency.
};

/// Divides each day's node cost that no request caused among that day's requests in proportion to
/// their direct cost, and adds up by `keys`. Costs of different currencies are never added.
UsageReport MakeUsageReport(absl::Span<const UsageSum> usage, absl::Span<const NodeTimeSum> nodes,
                            const std::set<UsageKey>& keys);

}  // namespace moesaic::monitoring
