#include "placement/place_eplb.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "absl/strings/str_cat.h"
#include "placement/forecast.h"
#include "placement/layer_quota.h"
#include "placement/shortfall.h"
#include "placement/time_model.h"

namespace moesaic::placement {
namespace {

/// Item numbers, the heaviest first, equals in order.
std::vector<std::uint32_t> HeaviestFirst(absl::Span<const double> weights) {
  std::vector<std::uint32_t> order(weights.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return weights[a] > weights[b]; });
  return order;
}

/// Packs items as BalancedPacking does, but no two of the same kind into a pack. An item for which
/// no pack with room is left goes beyond a pack's room, up to its limit, or else stays out
/// (nullopt). kinds: [items]; rooms, limits: [packs].
std::vector<std::optional<std::uint32_t>> PackDistinct(absl::Span<const double> weights,
                                                       absl::Span<const std::uint32_t> kinds,
                                                       absl::Span<const std::uint32_t> rooms,
                                                       absl::Span<const std::uint32_t> limits) {
  std::vector<std::optional<std::uint32_t>> packs(weights.size());
  if (std::all_of(rooms.begin(), rooms.end(), [](std::uint32_t room) { return room == 1; }) &&
      rooms.size() == weights.size()) {
    for (std::uint32_t item = 0; item < weights.size(); ++item) packs[item] = item;
    return packs;
  }
  std::vector<double> load(rooms.size(), 0);
  std::vector<std::vector<std::uint32_t>> inside(rooms.size());
  const std::vector<std::uint32_t> order = HeaviestFirst(weights);
  for (const absl::Span<const std::uint32_t> most : {rooms, limits}) {
    for (const std::uint32_t item : order) {
      std::optional<std::uint32_t>& best = packs[item];
      if (best) continue;
      for (std::uint32_t pack = 0; pack < rooms.size(); ++pack) {
        const auto& kinds_inside = inside[pack];
        if (kinds_inside.size() >= most[pack] || (best && load[pack] >= load[*best])) continue;
        if (std::find(kinds_inside.begin(), kinds_inside.end(), kinds[item]) ==
            kinds_inside.end()) {
          best = pack;
        }
      }
      if (!best) continue;
      load[*best] += weights[item];
      inside[*best].push_back(kinds[item]);
    }
  }
  return packs;
}

/// Places layer after layer into the decision it is given.
class EplbPlacer {
 public:
  EplbPlacer(const PlacementProblem& problem, const EplbOptions& options,
             PlacementDecision& decision)
      : problem_(problem),
        options_(options),
        decision_(decision),
        model_(problem),
        domains_(problem.shards),
        shards_of_node_(domains_.nodes) {
    for (std::uint32_t shard = 0; shard < problem.shards.size(); ++shard) {
      shards_of_node_[domains_.node[shard]].push_back(shard);
    }
  }

  void PlaceLayer(std::uint32_t layer, absl::Span<const std::uint32_t> quotas);
  /// Layers that were placed node by node.
  std::uint32_t hierarchical_layers() const { return hierarchical_layers_; }

 private:
  std::vector<std::uint32_t> ShareOut(absl::Span<const std::uint32_t> quotas) const;
  bool Divides(absl::Span<const std::uint32_t> rooms) const;
  void PlaceOn(absl::Span<const std::uint32_t> units, absl::Span<const std::uint32_t> shards,
               absl::Span<const std::uint32_t> rooms, absl::Span<const std::uint32_t> quotas);

  const PlacementProblem& problem_;
  const EplbOptions& options_;
  PlacementDecision& decision_;
  const TimeModel model_;
  const FailureDomains domains_;
  std::vector<std::vector<std::uint32_t>> shards_of_node_;
  std::uint32_t hierarchical_layers_ = 0;
};

/// Slots of each shard: as many as are wanted, rounded up to equally many each.
std::vector<std::uint32_t> EplbPlacer::ShareOut(absl::Span<const std::uint32_t> quotas) const {
  const std::uint32_t wanted =
      problem_.units_per_layer * problem_.replicas + options_.redundant_slots;
  const auto shards = static_cast<std::uint32_t>(quotas.size());
  std::vector<std::uint32_t> rooms(shards, 0);
  std::uint32_t left = (wanted + shards - 1) / shards * shards;
  for (bool any = true; any && left > 0;) {
    any = false;
    for (std::uint32_t shard = 0; shard < shards && left > 0; ++shard) {
      if (rooms[shard] >= std::min(quotas[shard], problem_.units_per_layer)) continue;
      ++rooms[shard];
      --left;
      any = true;
    }
  }
  return rooms;
}

bool EplbPlacer::Divides(absl::Span<const std::uint32_t> rooms) const {
  const std::uint32_t groups = std::max(1u, problem_.groups);
  return domains_.nodes > 1 && groups % domains_.nodes == 0 &&
         problem_.units_per_layer % groups == 0 &&
         std::all_of(rooms.begin(), rooms.end(), [&](auto room) { return room == rooms[0]; }) &&
         rooms.size() * rooms[0] >= problem_.units_per_layer &&
         std::all_of(shards_of_node_.begin(), shards_of_node_.end(), [&](const auto& shards) {
           return shards.size() == shards_of_node_[0].size();
         });
}

void EplbPlacer::PlaceLayer(std::uint32_t layer, absl::Span<const std::uint32_t> quotas) {
  const std::uint32_t first = layer * problem_.units_per_layer;
  const std::vector<std::uint32_t> rooms = ShareOut(quotas);
  if (!Divides(rooms)) {
    std::vector<std::uint32_t> units(problem_.units_per_layer), shards(rooms.size());
    std::iota(units.begin(), units.end(), first);
    std::iota(shards.begin(), shards.end(), 0u);
    return PlaceOn(units, shards, rooms, quotas);
  }
  ++hierarchical_layers_;
  const std::uint32_t units_per_group = problem_.units_per_layer / problem_.groups;
  std::vector<double> group_weights(problem_.groups, 0);
  for (std::uint32_t i = 0; i < problem_.units_per_layer; ++i) {
    group_weights[i / units_per_group] += model_.rows(first + i);
  }
  const std::vector<std::uint32_t> node_of_group = BalancedPacking(
      group_weights, std::vector<std::uint32_t>(domains_.nodes, problem_.groups / domains_.nodes));
  for (std::uint32_t node = 0; node < domains_.nodes; ++node) {
    std::vector<std::uint32_t> units;
    for (std::uint32_t i = 0; i < problem_.units_per_layer; ++i) {
      if (node_of_group[i / units_per_group] == node) units.push_back(first + i);
    }
    std::vector<std::uint32_t> node_quotas;
    for (const std::uint32_t shard : shards_of_node_[node]) node_quotas.push_back(quotas[shard]);
    PlaceOn(units, shards_of_node_[node],
            std::vector<std::uint32_t>(shards_of_node_[node].size(), rooms[0]), node_quotas);
  }
}

void EplbPlacer::PlaceOn(absl::Span<const std::uint32_t> units,
                         absl::Span<const std::uint32_t> shards,
                         absl::Span<const std::uint32_t> rooms,
                         absl::Span<const std::uint32_t> quotas) {
  const std::uint32_t slots = std::accumulate(rooms.begin(), rooms.end(), 0u);
  std::vector<double> weights;
  for (const std::uint32_t unit : units) weights.push_back(model_.rows(unit));
  std::vector<std::uint32_t> items;
  if (slots < units.size()) {
    items = HeaviestFirst(weights);
    items.resize(slots);
  } else {
    const auto fits = static_cast<std::uint32_t>(slots / units.size());
    items = Replicate(weights, slots, std::clamp(problem_.replicas, 1u, fits));
  }
  std::vector<double> replicas(units.size(), 0), slot_weights;
  for (const std::uint32_t item : items) ++replicas[item];
  for (const std::uint32_t item : items) slot_weights.push_back(weights[item] / replicas[item]);
  const auto packs = PackDistinct(slot_weights, items, rooms, quotas);
  for (std::size_t slot = 0; slot < items.size(); ++slot) {
    if (packs[slot]) decision_.units_of_shard[shards[*packs[slot]]].push_back(units[items[slot]]);
  }
}

}  // namespace

std::vector<std::uint32_t> BalancedPacking(absl::Span<const double> weights,
                                           absl::Span<const std::uint32_t> rooms) {
  std::vector<std::uint32_t> kinds(weights.size()), packs;
  std::iota(kinds.begin(), kinds.end(), 0u);  // each its own: nothing keeps two apart
  for (const auto& pack : PackDistinct(weights, kinds, rooms, rooms)) packs.push_back(*pack);
  return packs;
}

std::vector<std::uint32_t> Replicate(absl::Span<const double> weights, std::uint32_t slots,
                                     std::uint32_t floor) {
  std::vector<std::uint32_t> items;
  for (std::uint32_t level = 0; level < floor; ++level) {
    for (std::uint32_t item = 0; item < weights.size(); ++item) items.push_back(item);
  }
  std::vector<double> replicas(weights.size(), floor);
  while (items.size() < slots) {
    std::uint32_t hottest = 0;
    for (std::uint32_t item = 1; item < weights.size(); ++item) {
      if (weights[item] / replicas[item] > weights[hottest] / replicas[hottest]) hottest = item;
    }
    items.push_back(hottest);
    ++replicas[hottest];
  }
  return items;
}

PlacementDecision PlaceEplb(const PlacementProblem& problem, const EplbOptions& options) {
  PlacementDecision decision;
  decision.units_of_shard.resize(problem.shards.size());
  if (problem.units() > 0 && !problem.shards.empty()) {
    EplbPlacer placer(problem, options, decision);
    const auto quotas = LayerQuotas(UnitsThatFit(problem), problem.layers);
    for (std::uint32_t layer = 0; layer < problem.layers; ++layer) {
      placer.PlaceLayer(layer, quotas[layer]);
    }
    for (auto& units : decision.units_of_shard) std::sort(units.begin(), units.end());
    const Forecast forecast = ForecastPlacement(problem, decision.units_of_shard);
    if (forecast.move_bytes > 0) {
      decision.reasons.push_back(absl::StrCat(
          "the published algorithm for these loads, ", placer.hierarchical_layers(), " of ",
          problem.layers, " layers node by node: ",
          forecast.move_bytes / std::max<std::uint64_t>(1, problem.unit_bytes), " units to load"));
    }
  }
  decision.shortfall = MeasureShortfall(problem, decision.units_of_shard);
  decision.warnings = DescribeShortfall(problem, decision.shortfall);
  return decision;
}

}  // namespace moesaic::placement
