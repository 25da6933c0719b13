#include "placement/place_required.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "placement/spread_rule.h"

namespace moesaic::placement {
namespace {

/// Times nearer than this are equal: sums in another order differ by their rounding.
constexpr double kTimeTolerance = 1e-6;
constexpr int kMaxRequiredPasses = 4;
/// Above any conflict of SpreadRule.
constexpr int kNowhere = 4;

/// -1, 0 or 1 as `a` is clearly less than, about equal to or clearly more than `b`.
int Compare(double a, double b) {
  if (a < b * (1 - kTimeTolerance)) return -1;
  return b < a * (1 - kTimeTolerance) ? 1 : 0;
}

class RequiredPlacer {
 public:
  explicit RequiredPlacer(PlacementPlan& plan)
      : plan_(plan),
        problem_(plan.problem()),
        shards_(plan.assignment().shards()),
        rule_(plan.domains(), problem_.replicas) {}

  std::vector<std::string> Place();

 private:
  void FitMemory(std::uint32_t shard);
  void DropSurplus(std::uint32_t unit);
  std::vector<std::uint32_t> HeaviestFirst(std::uint32_t layer) const;
  void Fill(std::uint32_t level);
  std::optional<std::uint32_t> BestShardFor(std::uint32_t unit) const;
  /// What speaks for a shard as the place of a further replica.
  struct Bid {
    std::uint32_t shard = 0;
    int conflict = 0;  // SpreadRule's before an even share of memory
    double us = 0;     // when its layer would complete there
  };
  Bid BidOf(std::uint32_t unit, std::uint32_t shard) const;
  bool Better(std::uint32_t unit, const Bid& a, const Bid& b) const;
  bool MakeRoom(std::uint32_t unit, std::uint32_t level, int conflict);
  std::optional<std::uint32_t> Victim(std::uint32_t shard, std::uint32_t level) const;
  bool SwapIn(std::uint32_t unit);
  bool SwapInAt(std::uint32_t unit, std::uint32_t spare, bool respect_domains);
  bool Separate(std::uint32_t unit);
  bool MoveApart(std::uint32_t unit, std::uint32_t from);
  bool ExchangeApart(std::uint32_t unit, std::uint32_t from);
  std::vector<std::string> Reasons() const;

  const Assignment::Replicas& replicas(std::uint32_t unit) const {
    return plan_.assignment().replicas(unit);
  }
  std::uint32_t LayerOf(std::uint32_t unit) const { return plan_.assignment().LayerOf(unit); }

  PlacementPlan& plan_;
  const PlacementProblem& problem_;
  const std::uint32_t shards_;
  mutable SpreadRule rule_;
};

std::vector<std::string> RequiredPlacer::Place() {
  for (std::uint32_t shard = 0; shard < shards_; ++shard) FitMemory(shard);
  if (!plan_.model().loads_known()) {
    for (std::uint32_t unit = 0; unit < problem_.units(); ++unit) DropSurplus(unit);
  }
  for (std::uint32_t level = 1; level <= problem_.replicas; ++level) Fill(level);
  // A replica that moves makes room, perhaps for one that could not move before.
  bool moved = plan_.domains().nodes > 1;
  for (int pass = 0; moved && pass < kMaxRequiredPasses; ++pass) {
    moved = false;
    for (std::uint32_t unit = 0; unit < problem_.units(); ++unit) moved |= Separate(unit);
  }
  for (std::uint32_t layer = 0; layer < problem_.layers; ++layer) plan_.Settle(layer);
  return Reasons();
}

/// Drops the unit with most replicas, then the lightest, until the rest fits.
void RequiredPlacer::FitMemory(std::uint32_t shard) {
  if (plan_.Room(shard) >= 0) return;
  std::vector<std::uint32_t> units;
  for (std::uint32_t layer = 0; layer < problem_.layers; ++layer) {
    const auto& of_layer = plan_.assignment().units(layer, shard);
    units.insert(units.end(), of_layer.begin(), of_layer.end());
  }
  while (plan_.Room(shard) < 0) {
    const auto key = [&](std::uint32_t unit) {
      return std::make_tuple(replicas(unit).size(), -plan_.model().MeanUnitUs(unit), unit);
    };
    const auto gone = std::max_element(units.begin(), units.end(),
                                       [&](auto a, auto b) { return key(a) < key(b); });
    plan_.Release(*gone, shard);
    units.erase(gone);
  }
}

/// Drops replicas beyond the wanted number: those that are not apart first, then of the shard that
/// has most to do.
void RequiredPlacer::DropSurplus(std::uint32_t unit) {
  while (replicas(unit).size() > problem_.replicas) {
    std::optional<std::uint32_t> worst;
    std::tuple<int, double, double, std::uint32_t> worst_key;
    for (const Assignment::Replica& replica : replicas(unit)) {
      rule_.Look(replicas(unit), replica.shard);
      const auto key = std::make_tuple(rule_.Conflict(replica.shard),
                                       plan_.assignment().FullUsOf(LayerOf(unit), replica.shard),
                                       plan_.FullBusyUs(replica.shard), replica.shard);
      if (worst && key <= worst_key) continue;
      worst = replica.shard;
      worst_key = key;
    }
    plan_.Release(unit, *worst);
  }
}

std::vector<std::uint32_t> RequiredPlacer::HeaviestFirst(std::uint32_t layer) const {
  std::vector<std::uint32_t> units(problem_.units_per_layer);
  std::iota(units.begin(), units.end(), layer * problem_.units_per_layer);
  std::stable_sort(units.begin(), units.end(), [&](std::uint32_t a, std::uint32_t b) {
    return plan_.model().MeanUnitUs(a) > plan_.model().MeanUnitUs(b);
  });
  return units;
}

void RequiredPlacer::Fill(std::uint32_t level) {
  bool surplus = true;  // unless it turns out that no unit has more than `level` replicas
  for (std::uint32_t layer = 0; layer < problem_.layers; ++layer) {
    for (const std::uint32_t unit : HeaviestFirst(layer)) {
      if (replicas(unit).size() >= level) continue;
      rule_.Look(replicas(unit));
      const std::optional<std::uint32_t> shard = BestShardFor(unit);
      const int conflict = shard ? rule_.Conflict(*shard) : kNowhere;
      if (surplus && conflict > 0 && MakeRoom(unit, level, conflict)) continue;
      surplus = surplus && shard;
      if (shard) {
        plan_.Add(unit, *shard);
      } else {
        SwapIn(unit);
      }
    }
    plan_.Settle(layer);
  }
}

/// Of the shards with room and without the unit that `rule_` looks at.
std::optional<std::uint32_t> RequiredPlacer::BestShardFor(std::uint32_t unit) const {
  std::optional<Bid> best;
  for (std::uint32_t shard = 0; shard < shards_; ++shard) {
    if (plan_.Room(shard) <= 0 || rule_.Holds(shard)) continue;
    const Bid bid = BidOf(unit, shard);
    if (!best || Better(unit, bid, *best)) best = bid;
  }
  if (!best) return std::nullopt;
  return best->shard;
}

RequiredPlacer::Bid RequiredPlacer::BidOf(std::uint32_t unit, std::uint32_t shard) const {
  const std::uint32_t layer = LayerOf(unit);
  const double share = 1.0 / static_cast<double>(replicas(unit).size() + 1);
  const bool over_quota =
      plan_.assignment().units(layer, shard).size() >= plan_.quota(layer, shard);
  return {.shard = shard,
          .conflict = 2 * rule_.Conflict(shard) + (over_quota ? 1 : 0),
          .us = plan_.assignment().UsOf(layer, shard) + plan_.model().ShareUs(shard, unit, share)};
}

/// Of equals the one that has less to do when it stands in for others, in the layer and at all.
bool RequiredPlacer::Better(std::uint32_t unit, const Bid& a, const Bid& b) const {
  if (a.conflict != b.conflict) return a.conflict < b.conflict;
  if (const int order = Compare(a.us, b.us); order != 0) return order < 0;
  const Assignment& assignment = plan_.assignment();
  const std::uint32_t layer = LayerOf(unit);
  const double us_a = plan_.model().UnitUs(a.shard, unit);
  const double us_b = plan_.model().UnitUs(b.shard, unit);
  int order = Compare(assignment.FullUsOf(layer, a.shard) + us_a,
                      assignment.FullUsOf(layer, b.shard) + us_b);
  if (order == 0) {
    order = Compare(plan_.FullBusyUs(a.shard) + us_a, plan_.FullBusyUs(b.shard) + us_b);
  }
  if (order == 0) return assignment.count(a.shard) < assignment.count(b.shard);
  return order < 0;
}

/// Drops a replica of a unit that has more than `level`, where `unit` can take its place with less
/// conflict than `conflict`. False if there is none on any such shard.
bool RequiredPlacer::MakeRoom(std::uint32_t unit, std::uint32_t level, int conflict) {
  std::optional<Bid> best;
  std::optional<std::uint32_t> victim;
  for (std::uint32_t shard = 0; shard < shards_; ++shard) {
    if (rule_.Holds(shard) || rule_.Conflict(shard) >= conflict || plan_.fits(shard) == 0) continue;
    const Bid bid = BidOf(unit, shard);
    if (best && !Better(unit, bid, *best)) continue;
    const auto candidate = Victim(shard, level);
    if (!candidate) continue;
    best = bid;
    victim = candidate;
  }
  if (!best) return false;
  plan_.Release(*victim, best->shard);
  plan_.Add(unit, best->shard);
  return true;
}

/// The replica of a unit with more than `level` that the shard would miss least.
std::optional<std::uint32_t> RequiredPlacer::Victim(std::uint32_t shard,
                                                    std::uint32_t level) const {
  std::optional<std::uint32_t> victim;
  double least = 0;
  for (std::uint32_t layer = 0; layer < problem_.layers; ++layer) {
    for (const std::uint32_t unit : plan_.assignment().units(layer, shard)) {
      const Assignment::Replicas& all = replicas(unit);
      if (all.size() <= level) continue;
      const auto own = std::find_if(all.begin(), all.end(),
                                    [&](const auto& replica) { return replica.shard == shard; });
      const double us = plan_.model().ShareUs(shard, unit, own->share);
      if (victim && us >= least) continue;
      victim = unit;
      least = us;
    }
  }
  return victim;
}

/// The shards with room all hold `unit` already: one of them takes another unit over, whose shard
/// then has room.
bool RequiredPlacer::SwapIn(std::uint32_t unit) {
  for (const bool respect_domains : {true, false}) {
    for (std::uint32_t spare = 0; spare < shards_; ++spare) {
      if (plan_.Room(spare) > 0 && SwapInAt(unit, spare, respect_domains)) return true;
    }
  }
  return false;
}

bool RequiredPlacer::SwapInAt(std::uint32_t unit, std::uint32_t spare, bool respect_domains) {
  for (std::uint32_t donor = 0; donor < shards_; ++donor) {
    rule_.Look(replicas(unit));
    if (rule_.Holds(donor) || (respect_domains && rule_.Conflict(donor) > 0)) continue;
    for (std::uint32_t layer = 0; layer < problem_.layers; ++layer) {
      for (const std::uint32_t other : plan_.assignment().units(layer, donor)) {
        rule_.Look(replicas(other), donor);
        if (rule_.Holds(spare) || (respect_domains && !rule_.MayMoveTo(spare))) continue;
        plan_.Remove(other, donor);
        plan_.Add(other, spare);
        plan_.Add(unit, donor);
        return true;
      }
    }
  }
  return false;
}

/// Whether a replica has moved.
bool RequiredPlacer::Separate(std::uint32_t unit) {
  if (replicas(unit).size() < 2) return false;
  bool moved = false;
  Assignment::Replicas before = replicas(unit);
  // One that has to be loaded anyway moves rather than one that is there.
  std::stable_partition(before.begin(), before.end(), [&](const Assignment::Replica& replica) {
    return !plan_.Held(replica.shard, unit);
  });
  for (const Assignment::Replica& replica : before) {
    rule_.Look(replicas(unit), replica.shard);
    const int conflict = rule_.Conflict(replica.shard);
    // Replicas beyond the wanted ones may be anywhere.
    if (conflict == 0 || rule_.Satisfied()) continue;
    moved |=
        MoveApart(unit, replica.shard) || (conflict >= 2 && ExchangeApart(unit, replica.shard));
  }
  return moved;
}

/// Moves the replica to a shard with room where it is further apart.
bool RequiredPlacer::MoveApart(std::uint32_t unit, std::uint32_t from) {
  rule_.Look(replicas(unit), from);
  const std::optional<std::uint32_t> to = BestShardFor(unit);
  if (!to || rule_.Conflict(*to) >= rule_.Conflict(from)) return false;
  if (plan_.Held(from, unit) && plan_.RoomToMove(*to) <= 0) return false;
  plan_.Remove(unit, from);
  plan_.Add(unit, *to);
  return true;
}

/// Moves the replica to a node without one, against a unit of its layer that may come back.
bool RequiredPlacer::ExchangeApart(std::uint32_t unit, std::uint32_t from) {
  const std::uint32_t layer = LayerOf(unit);
  const bool movable = !plan_.Held(from, unit) || plan_.RoomToMove(from) > 0;
  for (std::uint32_t to = 0; movable && to < shards_; ++to) {
    rule_.Look(replicas(unit), from);
    if (rule_.Holds(to) || rule_.Conflict(to) >= 2) continue;
    for (const std::uint32_t other : plan_.assignment().units(layer, to)) {
      rule_.Look(replicas(other), to);
      if (rule_.Holds(from) || rule_.Conflict(from) >= 2) continue;
      plan_.Remove(unit, from);
      plan_.Remove(other, to);
      plan_.Add(unit, to);
      plan_.Add(other, from);
      return true;
    }
  }
  return false;
}

std::vector<std::string> RequiredPlacer::Reasons() const {
  std::vector<std::pair<std::size_t, std::string>> lines;
  for (std::uint32_t shard = 0; shard < shards_; ++shard) {
    std::size_t loads = 0;
    for (std::uint32_t layer = 0; layer < problem_.layers; ++layer) {
      for (const std::uint32_t unit : plan_.assignment().units(layer, shard)) {
        loads += !plan_.Held(shard, unit);
      }
    }
    if (loads == 0) continue;
    lines.emplace_back(loads,
                       absl::StrCat("shard ", problem_.shards[shard].id.value(), " gets ", loads,
                                    loads == 1 ? " unit that was" : " units that were",
                                    " short of replicas or had them on one node"));
  }
  std::stable_sort(lines.begin(), lines.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<std::string> reasons;
  for (auto& [loads, line] : lines) reasons.push_back(std::move(line));
  return reasons;
}

}  // namespace

std::vector<std::string> PlaceRequired(PlacementPlan& plan) { return RequiredPlacer(plan).Place(); }

}  // namespace moesaic::placement
