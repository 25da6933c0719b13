#include "placement/shortfall.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"

namespace moesaic::placement {
namespace {

/// How many different places `numbers` names; every unknown zone is one of its own. Sorts them.
std::size_t CountDistinct(std::vector<std::uint32_t>& numbers) {
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(
      std::unique(numbers.begin(), numbers.end(),
                  [](auto a, auto b) { return a == b && a != FailureDomains::kUnknownZone; }),
      numbers.end());
  return numbers.size();
}

}  // namespace

FailureDomains::FailureDomains(absl::Span<const ShardCapacity> shards) {
  absl::flat_hash_map<std::string, std::uint32_t> node_numbers, zone_numbers;
  for (const ShardCapacity& shard : shards) {
    const std::uint32_t number =
        shard.node.empty() ? nodes : node_numbers.try_emplace(shard.node, nodes).first->second;
    nodes = std::max(nodes, number + 1);
    node.push_back(number);
    zone.push_back(shard.zone.empty() ? kUnknownZone
                                      : zone_numbers.try_emplace(shard.zone, zones).first->second);
    zones = static_cast<std::uint32_t>(zone_numbers.size());
  }
}

std::vector<std::uint32_t> UnitsThatFit(const PlacementProblem& problem) {
  std::vector<std::uint32_t> fits;
  for (const ShardCapacity& shard : problem.shards) {
    fits.push_back(static_cast<std::uint32_t>(std::min<std::uint64_t>(
        shard.memory_bytes / std::max<std::uint64_t>(1, problem.unit_bytes), problem.units())));
  }
  return fits;
}

PlacementShortfall MeasureShortfall(const PlacementProblem& problem,
                                    absl::Span<const std::vector<std::uint32_t>> units_of_shard) {
  const FailureDomains domains(problem.shards);
  std::vector<std::vector<std::uint32_t>> holders(problem.units());
  for (std::uint32_t shard = 0; shard < units_of_shard.size(); ++shard) {
    for (const std::uint32_t unit : units_of_shard[shard]) holders[unit].push_back(shard);
  }
  PlacementShortfall result;
  const std::size_t possible = std::min<std::size_t>(problem.replicas, problem.shards.size());
  std::vector<std::uint32_t> nodes, zones;
  for (const auto& shards : holders) {
    nodes.clear();
    zones.clear();
    for (const std::uint32_t shard : shards) {
      nodes.push_back(domains.node[shard]);
      zones.push_back(domains.zone[shard]);
    }
    result.uncovered += shards.empty();
    result.short_of_replicas += !shards.empty() && shards.size() < possible;
    // Replicas beyond the wanted number may be anywhere.
    const std::size_t apart = std::min<std::size_t>(shards.size(), problem.replicas);
    result.sharing_node += CountDistinct(nodes) < apart;
    result.sharing_zone += CountDistinct(zones) < apart;
  }
  return result;
}

std::vector<std::string> DescribeShortfall(const PlacementProblem& problem,
                                           const PlacementShortfall& shortfall) {
  std::vector<std::string> lines;
  const std::uint32_t units = problem.units();
  if (units == 0) return lines;
  if (problem.shards.empty()) return {"there is no shard"};
  if (problem.shards.size() < problem.replicas) {
    lines.push_back(absl::StrCat(problem.replicas, " replicas wanted, but only ",
                                 problem.shards.size(), " shards"));
  }
  if (shortfall.uncovered > 0) {
    lines.push_back(absl::StrCat("not enough memory: ", shortfall.uncovered, " of ", units,
                                 " units have no shard; ", shortfall.uncovered * problem.unit_bytes,
                                 " more bytes are needed"));
  }
  if (shortfall.short_of_replicas > 0) {
    lines.push_back(absl::StrCat("not enough memory for ", problem.replicas, " replicas of ",
                                 shortfall.short_of_replicas, " of ", units, " units"));
  }
  const FailureDomains domains(problem.shards);
  if (shortfall.sharing_node > 0) {
    lines.push_back(absl::StrCat(shortfall.sharing_node, " of ", units,
                                 " units have replicas on one node; ", domains.nodes, " nodes for ",
                                 problem.replicas, " replicas"));
  }
  if (shortfall.sharing_zone > 0) {
    lines.push_back(absl::StrCat(shortfall.sharing_zone, " of ", units,
                                 " units have replicas in one zone; ", domains.zones, " zones for ",
                                 problem.replicas, " replicas"));
  }
  return lines;
}

}  // namespace moesaic::placement
