#pragma once

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "placement/placement_problem.h"

namespace moesaic::placement {

/// Numbers for nodes and zones in the order in which they come; two shards are on one node (in one
/// zone) when their numbers are equal. Without a node label a shard is a machine of its own;
/// without a zone label its zone is unknown.
struct FailureDomains {
  static constexpr std::uint32_t kUnknownZone = ~std::uint32_t{0};

  explicit FailureDomains(absl::Span<const ShardCapacity> shards);

  std::vector<std::uint32_t> node;  ///< [shards]
  std::vector<std::uint32_t> zone;  ///< [shards] kUnknownZone where it has none.
  std::uint32_t nodes = 0;
  std::uint32_t zones = 0;  ///< Known ones.
};

/// How many units fit into each shard's memory: [shards], at most units().
std::vector<std::uint32_t> UnitsThatFit(const PlacementProblem& problem);

/// Counts what `units_of_shard` ([shards], any order) leaves to be desired. Pure.
PlacementShortfall MeasureShortfall(const PlacementProblem& problem,
                                    absl::Span<const std::vector<std::uint32_t>> units_of_shard);

/// The same in words, a line each; also says when there is no shard or fewer than replicas.
std::vector<std::string> DescribeShortfall(const PlacementProblem& problem,
                                           const PlacementShortfall& shortfall);

}  // namespace moesaic::placement
