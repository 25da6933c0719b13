#include "placement/place_evenly.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"

namespace moesaic::placement {
namespace {

using ShardIndex = std::uint32_t;
using Unit = std::uint32_t;

/// One call's working state: how many units each shard and how many copies each unit shall have,
/// and the assignment as it grows.
class EvenPlacer {
 public:
  explicit EvenPlacer(const PlacementProblem& problem);

  PlacementDecision Place();

 private:
  std::uint32_t layer_of(Unit unit) const { return unit / problem_.units_per_layer; }
  bool Holds(ShardIndex shard, Unit unit) const { return on_shard_[shard][unit]; }
  bool NodeTaken(Unit unit, ShardIndex shard, std::optional<ShardIndex> except = {}) const;
  void Assign(ShardIndex shard, Unit unit);
  void Remove(ShardIndex shard, Unit unit);

  void ShareOut();
  std::optional<ShardIndex> NextToShareTo(bool respect_nodes) const;
  void SetCopies();
  void KeepHeld();
  void DropSurplusCopies(Unit unit);
  void DropSurplusUnits(ShardIndex shard);
  void Fill();
  std::optional<ShardIndex> BestShardFor(Unit unit) const;
  void Repair(Unit unit);
  bool SwapIn(Unit unit, ShardIndex spare);
  void SeparateNodes();
  bool MoveApart(Unit unit, ShardIndex from);
  std::vector<std::string> Warnings() const;

  const PlacementProblem& problem_;
  const Unit units_;
  const ShardIndex shards_;
  std::vector<std::uint32_t> node_;       // [shards] number of its node
  std::vector<std::uint32_t> node_room_;  // [nodes] copies a node may still get without doubling
  std::vector<std::uint32_t> capacity_;   // [shards] units that fit
  std::vector<std::uint32_t> quota_;      // [shards] units it shall have
  std::vector<std::uint32_t> copies_;     // [units] copies it shall have
  std::vector<std::vector<ShardIndex>> holders_;         // [units]
  std::vector<std::vector<bool>> on_shard_;              // [shards][units]
  std::vector<std::uint32_t> count_;                     // [shards] units it has
  std::vector<std::vector<std::uint32_t>> layer_count_;  // [shards][layers] of them per layer
};

EvenPlacer::EvenPlacer(const PlacementProblem& problem)
    : problem_(problem),
      units_(problem.units()),
      shards_(static_cast<ShardIndex>(problem.shards.size())),
      quota_(shards_, 0),
      copies_(units_, 0),
      holders_(units_),
      on_shard_(shards_, std::vector<bool>(units_, false)),
      count_(shards_, 0),
      layer_count_(shards_, std::vector<std::uint32_t>(problem.layers, 0)) {
  absl::flat_hash_map<std::string, std::uint32_t> numbers;
  for (const ShardCapacity& shard : problem_.shards) {
    const auto fresh = static_cast<std::uint32_t>(node_room_.size());
    const std::uint32_t node =
        shard.node.empty() ? fresh : numbers.try_emplace(shard.node, fresh).first->second;
    if (node == fresh) node_room_.push_back(units_);
    node_.push_back(node);
    const std::uint64_t fits = shard.memory_bytes / std::max<std::uint64_t>(1, problem_.unit_bytes);
    capacity_.push_back(static_cast<std::uint32_t>(std::min<std::uint64_t>(fits, units_)));
  }
}

PlacementDecision EvenPlacer::Place() {
  ShareOut();
  SetCopies();
  KeepHeld();
  Fill();
  for (Unit unit = 0; unit < units_; ++unit) {
    while (holders_[unit].size() < copies_[unit]) {
      const std::size_t before = holders_[unit].size();
      Repair(unit);
      if (holders_[unit].size() == before) break;
    }
  }
  SeparateNodes();
  PlacementDecision decision;
  decision.units_of_shard.resize(shards_);
  for (Unit unit = 0; unit < units_; ++unit) {
    for (const ShardIndex shard : holders_[unit]) decision.units_of_shard[shard].push_back(unit);
  }
  decision.warnings = Warnings();
  return decision;
}

bool EvenPlacer::NodeTaken(Unit unit, ShardIndex shard, std::optional<ShardIndex> except) const {
  return std::any_of(holders_[unit].begin(), holders_[unit].end(), [&](ShardIndex holder) {
    return holder != except && holder != shard && node_[holder] == node_[shard];
  });
}

void EvenPlacer::Assign(ShardIndex shard, Unit unit) {
  holders_[unit].push_back(shard);
  on_shard_[shard][unit] = true;
  ++count_[shard];
  ++layer_count_[shard][layer_of(unit)];
}

void EvenPlacer::Remove(ShardIndex shard, Unit unit) {
  std::erase(holders_[unit], shard);
  on_shard_[shard][unit] = false;
  --count_[shard];
  --layer_count_[shard][layer_of(unit)];
}

/// Hands out quotas one copy at a time, always to the shard that has the fewest: first so that no
/// node gets a unit twice, then, if copies are left over, without that rule.
void EvenPlacer::ShareOut() {
  std::uint64_t left = std::uint64_t{units_} * problem_.replicas;
  for (const bool respect_nodes : {true, false}) {
    for (; left > 0; --left) {
      const std::optional<ShardIndex> shard = NextToShareTo(respect_nodes);
      if (!shard) break;
      ++quota_[*shard];
      if (respect_nodes) --node_room_[node_[*shard]];
    }
  }
}

std::optional<ShardIndex> EvenPlacer::NextToShareTo(bool respect_nodes) const {
  std::optional<ShardIndex> best;
  for (ShardIndex shard = 0; shard < shards_; ++shard) {
    if (quota_[shard] >= capacity_[shard]) continue;
    if (respect_nodes && node_room_[node_[shard]] == 0) continue;
    // Of equals, the one that already holds more: it keeps more.
    const auto key = [&](ShardIndex s) {
      return std::make_tuple(quota_[s], -static_cast<std::int64_t>(problem_.shards[s].held.size()));
    };
    if (!best || key(shard) < key(*best)) best = shard;
  }
  return best;
}

/// As many copies as quotas allow, level by level; an incomplete level goes to the units that have
/// the copies already, then to the first ones.
void EvenPlacer::SetCopies() {
  std::uint64_t total = 0;
  for (const std::uint32_t quota : quota_) total += quota;
  if (units_ == 0) return;
  const auto full = static_cast<std::uint32_t>(total / units_);
  std::fill(copies_.begin(), copies_.end(), full);
  std::vector<std::uint32_t> held(units_, 0);
  for (const ShardCapacity& shard : problem_.shards) {
    for (const Unit unit : shard.held) ++held[unit];
  }
  std::uint64_t extra = total % units_;
  for (const bool only_held : {true, false}) {
    for (Unit unit = 0; unit < units_ && extra > 0; ++unit) {
      if (copies_[unit] > full || (only_held && held[unit] <= full)) continue;
      ++copies_[unit];
      --extra;
    }
  }
}

void EvenPlacer::KeepHeld() {
  for (ShardIndex shard = 0; shard < shards_; ++shard) {
    for (const Unit unit : problem_.shards[shard].held) Assign(shard, unit);
  }
  for (Unit unit = 0; unit < units_; ++unit) DropSurplusCopies(unit);
  for (ShardIndex shard = 0; shard < shards_; ++shard) DropSurplusUnits(shard);
}

/// Drops copies beyond the wanted number: doubles on a node first, then from the fullest shard.
void EvenPlacer::DropSurplusCopies(Unit unit) {
  while (holders_[unit].size() > copies_[unit]) {
    const auto surplus = [&](ShardIndex s) {
      return std::make_tuple(NodeTaken(unit, s), static_cast<std::int64_t>(count_[s]) - quota_[s],
                             s);
    };
    const auto worst =
        std::max_element(holders_[unit].begin(), holders_[unit].end(),
                         [&](ShardIndex a, ShardIndex b) { return surplus(a) < surplus(b); });
    Remove(*worst, unit);
  }
}

/// Drops units beyond the quota, from the layers the shard has most of.
void EvenPlacer::DropSurplusUnits(ShardIndex shard) {
  while (count_[shard] > quota_[shard]) {
    const auto& counts = layer_count_[shard];
    const auto layer =
        static_cast<std::uint32_t>(std::max_element(counts.begin(), counts.end()) - counts.begin());
    for (Unit unit = (layer + 1) * problem_.units_per_layer; unit-- > 0;) {
      if (!Holds(shard, unit)) continue;
      Remove(shard, unit);
      break;
    }
  }
}

/// First copies of all units, then second ones, and so on.
void EvenPlacer::Fill() {
  for (std::uint32_t level = 1; level <= problem_.replicas; ++level) {
    for (Unit unit = 0; unit < units_; ++unit) {
      if (holders_[unit].size() >= std::min(level, copies_[unit])) continue;
      if (const auto shard = BestShardFor(unit)) Assign(*shard, unit);
    }
  }
}

std::optional<ShardIndex> EvenPlacer::BestShardFor(Unit unit) const {
  const auto zone_taken = [&](ShardIndex s) {
    const std::string& zone = problem_.shards[s].zone;
    return !zone.empty() &&
           std::any_of(holders_[unit].begin(), holders_[unit].end(),
                       [&](ShardIndex h) { return problem_.shards[h].zone == zone; });
  };
  const auto before = [&](ShardIndex a, ShardIndex b) {
    const auto conflicts = [&](ShardIndex s) {
      return std::make_tuple(NodeTaken(unit, s), zone_taken(s));
    };
    if (conflicts(a) != conflicts(b)) return conflicts(a) < conflicts(b);
    // Share of the layer, relative to the shard's share of everything.
    const auto layer = layer_of(unit);
    const std::uint64_t share_a = std::uint64_t{layer_count_[a][layer] + 1} * quota_[b];
    const std::uint64_t share_b = std::uint64_t{layer_count_[b][layer] + 1} * quota_[a];
    if (share_a != share_b) return share_a < share_b;
    return quota_[a] - count_[a] > quota_[b] - count_[b];
  };
  std::optional<ShardIndex> best;
  for (ShardIndex shard = 0; shard < shards_; ++shard) {
    if (count_[shard] >= quota_[shard] || Holds(shard, unit)) continue;
    if (!best || before(shard, *best)) best = shard;
  }
  return best;
}

/// The shards with room all hold `unit` already: one of them takes another unit over, whose shard
/// then has room.
void EvenPlacer::Repair(Unit unit) {
  if (const auto shard = BestShardFor(unit)) return Assign(*shard, unit);
  for (ShardIndex spare = 0; spare < shards_; ++spare) {
    if (count_[spare] < quota_[spare] && SwapIn(unit, spare)) return;
  }
}

bool EvenPlacer::SwapIn(Unit unit, ShardIndex spare) {
  for (const bool respect_nodes : {true, false}) {
    for (ShardIndex donor = 0; donor < shards_; ++donor) {
      if (donor == spare || Holds(donor, unit)) continue;
      if (respect_nodes && NodeTaken(unit, donor)) continue;
      for (Unit other = 0; other < units_; ++other) {
        if (!Holds(donor, other) || Holds(spare, other)) continue;
        if (respect_nodes && NodeTaken(other, spare, donor)) continue;
        Remove(donor, other);
        Assign(spare, other);
        Assign(donor, unit);
        return true;
      }
    }
  }
  return false;
}

/// Exchanges units so that copies of one lie on different nodes.
void EvenPlacer::SeparateNodes() {
  for (Unit unit = 0; unit < units_; ++unit) {
    const std::vector<ShardIndex> holders = holders_[unit];
    for (const ShardIndex shard : holders) {
      if (NodeTaken(unit, shard)) MoveApart(unit, shard);
    }
  }
}

/// Moves `unit` from shard `from` to a node without it, against a unit that may go back.
bool EvenPlacer::MoveApart(Unit unit, ShardIndex from) {
  for (ShardIndex to = 0; to < shards_; ++to) {
    if (Holds(to, unit) || NodeTaken(unit, to, from)) continue;
    for (Unit other = 0; other < units_; ++other) {
      if (!Holds(to, other) || Holds(from, other) || NodeTaken(other, from, to)) continue;
      Remove(from, unit);
      Remove(to, other);
      Assign(to, unit);
      Assign(from, other);
      return true;
    }
  }
  return false;
}

std::vector<std::string> EvenPlacer::Warnings() const {
  std::vector<std::string> warnings;
  if (units_ == 0) return warnings;
  if (shards_ == 0) return {"there is no shard"};
  if (shards_ < problem_.replicas) {
    warnings.push_back(
        absl::StrCat(problem_.replicas, " replicas wanted, but only ", shards_, " shards"));
  }
  std::uint32_t uncovered = 0, short_of_copies = 0, doubled = 0;
  const std::uint32_t possible = std::min(problem_.replicas, shards_);
  for (Unit unit = 0; unit < units_; ++unit) {
    const auto& holders = holders_[unit];
    if (holders.empty()) ++uncovered;
    if (!holders.empty() && holders.size() < possible) ++short_of_copies;
    doubled += std::any_of(holders.begin(), holders.end(),
                           [&](ShardIndex s) { return NodeTaken(unit, s); });
  }
  if (uncovered > 0) {
    warnings.push_back(absl::StrCat("not enough memory: ", uncovered, " of ", units_,
                                    " units have no shard; ", uncovered * problem_.unit_bytes,
                                    " more bytes are needed"));
  }
  if (short_of_copies > 0) {
    warnings.push_back(absl::StrCat("not enough memory for ", problem_.replicas, " replicas of ",
                                    short_of_copies, " of ", units_, " units"));
  }
  if (doubled > 0) {
    warnings.push_back(absl::StrCat(doubled, " of ", units_, " units have replicas on one node; ",
                                    node_room_.size(), " nodes for ", problem_.replicas,
                                    " replicas"));
  }
  return warnings;
}

}  // namespace

PlacementDecision PlaceEvenly(const PlacementProblem& problem) {
  return EvenPlacer(problem).Place();
}

}  // namespace moesaic::placement
