#include "placement/shorten_layer.h"

#include <algorithm>
#include <cmath>

#include "absl/container/inlined_vector.h"

namespace moesaic::placement {
namespace {

/// A step that shortens the slowest shard by less is none.
constexpr double kLeastProgress = 1e-3;
/// A further replica always shortens at least as much as a move; it must shorten by this share of
/// the layer more, for it takes memory.
constexpr double kReplicaHandicap = 0.01;

}  // namespace

LayerShortener::LayerShortener(PlacementPlan& plan, const BalanceOptions& options,
                               double us_per_load, bool even_shares)
    : plan_(plan),
      options_(options),
      us_per_load_(us_per_load),
      even_shares_(even_shares),
      rule_(plan.domains(), plan.problem().replicas) {
  std::uint64_t room = 0;
  for (std::uint32_t shard = 0; shard < plan.assignment().shards(); ++shard) {
    // Where everything fits there is always room to move.
    const std::uint32_t fits = plan.fits(shard);
    spare_.push_back(
        fits >= plan.problem().units()
            ? 0
            : std::max<std::int64_t>(1, std::llround(std::ceil(options.spare_share * fits))));
    room += std::max<std::int64_t>(0, plan.RoomToMove(shard) - spare_.back());
  }
  const std::uint32_t layers = plan.problem().layers;
  extra_per_layer_ = even_shares ? (room + layers - 1) / layers : room;
  // Without known loads no unit is hotter than another.
  if (!plan.model().loads_known()) return;
  std::uint64_t extra = 0;
  for (std::uint32_t unit = 0; unit < plan.problem().units(); ++unit) {
    const std::size_t replicas = plan.assignment().replicas(unit).size();
    extra += replicas - std::min<std::size_t>(replicas, plan.problem().replicas);
  }
  extra_left_ = options.max_extra_replicas - std::min(options.max_extra_replicas, extra);
}

LayerChange LayerShortener::Shorten(std::uint32_t layer) {
  const Assignment& assignment = plan_.assignment();
  LayerChange change{.layer = layer,
                     .us_before = assignment.MaxUs(layer),
                     .us_after = assignment.MaxUs(layer),
                     .steps = {}};
  const double price = std::max(us_per_load_, options_.min_unit_gain * change.us_before);
  // Each step takes one shard out of the slowest, and no more than one for each unit are equally
  // slow: so many steps without a gain will have none.
  const std::size_t patience = plan_.problem().units_per_layer;
  layer_extra_left_ = std::min(extra_left_, extra_per_layer_);
  std::size_t keep = 0;
  double best_gain = 0;
  int loads = 0;
  std::uint32_t slowest = assignment.SlowestShard(layer);
  while (change.steps.size() <= keep + patience) {
    const auto candidate = BestStep(layer, slowest);
    if (!candidate) break;
    loads += Apply(candidate->step);
    change.steps.push_back(candidate->step);
    slowest = assignment.SlowestShard(layer);
    const double gain = change.us_before - assignment.UsOf(layer, slowest) - price * loads;
    if (gain <= best_gain) continue;
    best_gain = gain;
    keep = change.steps.size();
  }
  const bool undone = change.steps.size() > keep;
  while (change.steps.size() > keep) {
    Undo(change.steps.back());
    change.steps.pop_back();
  }
  if (undone || keep > 0) plan_.Settle(layer);
  change.us_after = assignment.MaxUs(layer);
  return change;
}

std::optional<LayerShortener::Candidate> LayerShortener::BestStep(std::uint32_t layer,
                                                                  std::uint32_t slowest) {
  const Assignment& assignment = plan_.assignment();
  std::optional<Candidate> best;
  for (const std::uint32_t unit : assignment.units(layer, slowest)) {
    const Assignment::Replicas& replicas = assignment.replicas(unit);
    const auto own = std::find_if(replicas.begin(), replicas.end(),
                                  [&](const auto& replica) { return replica.shard == slowest; });
    TryUnit(layer, slowest, *own, unit, best);
  }
  if (!best) TryExchanges(layer, slowest, best);
  return best;
}

bool LayerShortener::MayReplicate(std::uint32_t layer, std::uint32_t shard) const {
  if (plan_.RoomToMove(shard) <= spare_[shard]) return false;
  return !even_shares_ || (layer_extra_left_ > 0 && plan_.assignment().units(layer, shard).size() <
                                                        plan_.quota(layer, shard));
}

/// Considers moving the replica, and one more replica of its unit.
void LayerShortener::TryUnit(std::uint32_t layer, std::uint32_t slowest,
                             const Assignment::Replica& replica, std::uint32_t unit,
                             std::optional<Candidate>& best) {
  const absl::Span<const double> us = plan_.assignment().LayerUs(layer);
  const TimeModel& model = plan_.model();
  const double limit = us[slowest] * (1 - kLeastProgress);
  const double own_cost = model.UnitUs(slowest, unit);
  const double given = model.ShareUs(slowest, unit, replica.share);
  if (us[slowest] - given > limit) return;
  rule_.Look(plan_.assignment().replicas(unit), slowest);
  std::optional<std::uint32_t> move_to, replicate_to;
  double move_us = limit, replicate_us = limit;
  // The last shard that was best for both: one that is neither less busy nor faster is not better.
  double known_us = limit, known_cost = 0;
  for (std::uint32_t shard = 0; shard < us.size(); ++shard) {
    if (us[shard] >= limit) continue;
    const double cost = model.UnitUs(shard, unit);
    if ((us[shard] >= known_us && cost >= known_cost) || rule_.Holds(shard)) continue;
    const double moved_us = us[shard] + model.ShareUs(shard, unit, replica.share);
    // Where this replica and one there complete together, had neither to touch experts twice.
    const double given_share =
        std::min(replica.share, (us[slowest] - us[shard]) / (own_cost + cost));
    const double shared_us = us[slowest] - given_share * own_cost;
    const bool moves = moved_us < move_us;
    const bool replicates = extra_left_ > 0 && shared_us < replicate_us;
    if (!moves && !replicates) continue;
    if (plan_.RoomToMove(shard) <= 0 || (!moves && !MayReplicate(layer, shard))) {
      short_of_room_ = true;
      continue;
    }
    if (moves && rule_.MayMoveTo(shard)) {
      move_to = shard;
      move_us = moved_us;
    }
    if (replicates && MayReplicate(layer, shard)) {
      replicate_to = shard;
      replicate_us = shared_us;
    }
    if ((move_to == shard || !moves) && (replicate_to == shard || extra_left_ == 0)) {
      known_us = us[shard];
      known_cost = cost;
    }
  }
  const auto consider = [&](PlacementStep::Kind kind, std::uint32_t to, double after) {
    if (after > limit) return;
    if (kind == PlacementStep::Kind::kReplicate) after += kReplicaHandicap * us[slowest];
    if (best && after >= best->us) return;
    best = {.step = {.kind = kind, .unit = unit, .from = slowest, .to = to}, .us = after};
  };
  if (move_to) {
    consider(PlacementStep::Kind::kMove, *move_to, std::max(us[slowest] - given, move_us));
  }
  if (replicate_to) {
    consider(PlacementStep::Kind::kReplicate, *replicate_to,
             UsWhenReplicated(layer, unit, *replicate_to));
  }
}

/// The time at which all replicas of the unit that are used complete, with one more on `shard`.
double LayerShortener::UsWhenReplicated(std::uint32_t layer, std::uint32_t unit,
                                        std::uint32_t shard) const {
  absl::InlinedVector<ReplicaBid, 4> bids;
  const absl::Span<const double> us = plan_.assignment().LayerUs(layer);
  const TimeModel& model = plan_.model();
  double most = us[shard];
  for (const Assignment::Replica& replica : plan_.assignment().replicas(unit)) {
    const ReplicaCost cost = model.CostOf(replica.shard, unit);
    bids.push_back({.others_us = us[replica.shard] - cost.Us(replica.share), .cost = cost});
    if (replica.share > 0) most = std::max(most, bids.back().others_us);
  }
  bids.push_back({.others_us = us[shard], .cost = model.CostOf(shard, unit)});
  return std::max(most, CompletionUs(bids));
}

/// Considers giving a heavy unit for a light one; one of the two shards needs room for a moment.
void LayerShortener::TryExchanges(std::uint32_t layer, std::uint32_t slowest,
                                  std::optional<Candidate>& best) {
  const Assignment& assignment = plan_.assignment();
  const TimeModel& model = plan_.model();
  const absl::Span<const double> us = assignment.LayerUs(layer);
  const double limit = us[slowest] * (1 - kLeastProgress);
  const auto share_on = [&](std::uint32_t unit, std::uint32_t shard) {
    const Assignment::Replicas& replicas = assignment.replicas(unit);
    return std::find_if(replicas.begin(), replicas.end(),
                        [&](const auto& replica) { return replica.shard == shard; })
        ->share;
  };
  for (const std::uint32_t unit : assignment.units(layer, slowest)) {
    const double share = share_on(unit, slowest);
    const double given = model.ShareUs(slowest, unit, share);
    if (us[slowest] - given > limit) continue;
    for (std::uint32_t shard = 0; shard < us.size(); ++shard) {
      // Exchanges that would need room in both, one after the other, need it in one only.
      if (us[shard] >= limit || shard == slowest) continue;
      const double taken = model.ShareUs(shard, unit, share);
      for (const std::uint32_t other : assignment.units(layer, shard)) {
        const double other_share = share_on(other, shard);
        const double after =
            std::max(us[slowest] - given + model.ShareUs(slowest, other, other_share),
                     us[shard] + taken - model.ShareUs(shard, other, other_share));
        if (after > limit || (best && after >= best->us)) continue;
        if (plan_.RoomToMove(slowest) <= 0 && plan_.RoomToMove(shard) <= 0) {
          short_of_room_ = true;
          continue;
        }
        rule_.Look(assignment.replicas(unit), slowest);
        if (!rule_.MayMoveTo(shard)) continue;
        rule_.Look(assignment.replicas(other), shard);
        if (!rule_.MayMoveTo(slowest)) continue;
        best = {.step = {.kind = PlacementStep::Kind::kExchange,
                         .unit = unit,
                         .from = slowest,
                         .to = shard,
                         .other = other},
                .us = after};
      }
    }
  }
}

int LayerShortener::Apply(const PlacementStep& step) {
  const std::uint32_t layer = plan_.assignment().LayerOf(step.unit);
  int loads = !plan_.Held(step.to, step.unit);
  if (step.kind == PlacementStep::Kind::kReplicate) {
    --extra_left_;
    --layer_extra_left_;
  } else {
    loads -= !plan_.Held(step.from, step.unit);
    plan_.Remove(step.unit, step.from);
  }
  plan_.Add(step.unit, step.to);
  if (step.kind == PlacementStep::Kind::kExchange) {
    loads += !plan_.Held(step.from, step.other) - !plan_.Held(step.to, step.other);
    plan_.Remove(step.other, step.to);
    plan_.Add(step.other, step.from);
  }
  plan_.Divide(layer, step.from);
  plan_.Divide(layer, step.to);
  return loads;
}

void LayerShortener::Undo(const PlacementStep& step) {
  if (step.kind == PlacementStep::Kind::kExchange) {
    plan_.Remove(step.other, step.from);
    plan_.Add(step.other, step.to);
  }
  plan_.Remove(step.unit, step.to);
  if (step.kind == PlacementStep::Kind::kReplicate) {
    ++extra_left_;
    ++layer_extra_left_;
  } else {
    plan_.Add(step.unit, step.from);
  }
}

}  // namespace moesaic::placement
