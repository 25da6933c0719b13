#include "placement/assignment.h"

#include <algorithm>
#include <cmath>

namespace moesaic::placement {
namespace {

/// Division in turns converges quickly; beyond these it changes nothing that matters.
constexpr int kMaxTurns = 12;
constexpr double kShareTolerance = 1e-3;

}  // namespace

Assignment::Assignment(const PlacementProblem& problem, const TimeModel& model)
    : problem_(&problem),
      model_(&model),
      shards_(static_cast<std::uint32_t>(problem.shards.size())),
      replicas_(problem.units()),
      units_(std::size_t{problem.layers} * shards_),
      layer_us_(units_.size(), 0),
      full_us_(units_.size(), 0),
      count_(shards_, 0) {}

void Assignment::Add(std::uint32_t unit, std::uint32_t shard) {
  const std::size_t cell = Cell(LayerOf(unit), shard);
  replicas_[unit].push_back({.shard = shard, .share = 0});
  units_[cell].push_back(unit);
  full_us_[cell] += model_->UnitUs(shard, unit);
  ++count_[shard];
  Divide(unit);
}

void Assignment::Remove(std::uint32_t unit, std::uint32_t shard) {
  const std::size_t cell = Cell(LayerOf(unit), shard);
  Replicas& replicas = replicas_[unit];
  const auto gone = std::find_if(replicas.begin(), replicas.end(),
                                 [&](const Replica& r) { return r.shard == shard; });
  layer_us_[cell] -= model_->ShareUs(shard, unit, gone->share);
  full_us_[cell] -= model_->UnitUs(shard, unit);
  replicas.erase(gone);
  auto& units = units_[cell];
  *std::find(units.begin(), units.end(), unit) = units.back();
  units.pop_back();
  --count_[shard];
  Divide(unit);
}

void Assignment::Divide(std::uint32_t unit) { DivideAndMeasure(unit); }

/// Returns the largest change of a share.
double Assignment::DivideAndMeasure(std::uint32_t unit) {
  Replicas& replicas = replicas_[unit];
  if (replicas.empty()) return 0;
  const std::size_t row = Cell(LayerOf(unit), 0);
  absl::InlinedVector<ReplicaBid, 4> bids;
  for (const Replica& replica : replicas) {
    const ReplicaCost cost = model_->CostOf(replica.shard, unit);
    const double others_us = layer_us_[row + replica.shard] - cost.Us(replica.share);
    bids.push_back({.others_us = std::max(0.0, others_us), .cost = cost});
  }
  const double completion_us = replicas.size() > 1 ? CompletionUs(bids) : 0;
  double largest = 0;
  for (std::size_t i = 0; i < replicas.size(); ++i) {
    double share = 1.0 / static_cast<double>(replicas.size());  // of a unit without rows, or alone
    if (completion_us > 0) {
      share = std::min(1.0, bids[i].cost.ShareWithin(completion_us - bids[i].others_us));
    }
    largest = std::max(largest, std::abs(share - replicas[i].share));
    replicas[i].share = share;
    layer_us_[row + replicas[i].shard] = bids[i].others_us + bids[i].cost.Us(share);
  }
  return largest;
}

void Assignment::Settle(std::uint32_t layer) {
  const std::uint32_t begin = layer * problem_->units_per_layer;
  const std::uint32_t end = begin + problem_->units_per_layer;
  const auto sums = layer_us_.begin() + static_cast<std::ptrdiff_t>(Cell(layer, 0));
  std::fill(sums, sums + shards_, 0.0);
  bool divided = false;
  for (std::uint32_t unit = begin; unit < end; ++unit) {
    for (const Replica& replica : replicas_[unit]) {
      sums[replica.shard] += model_->ShareUs(replica.shard, unit, replica.share);
    }
    divided |= replicas_[unit].size() > 1;
  }
  for (int turn = 0; divided && turn < kMaxTurns; ++turn) {
    double largest = 0;
    for (std::uint32_t unit = begin; unit < end; ++unit) {
      if (replicas_[unit].size() > 1) largest = std::max(largest, DivideAndMeasure(unit));
    }
    if (largest < kShareTolerance) break;
  }
}

void Assignment::SettleAll() {
  for (std::uint32_t layer = 0; layer < problem_->layers; ++layer) Settle(layer);
}

bool Assignment::Holds(std::uint32_t shard, std::uint32_t unit) const {
  const Replicas& replicas = replicas_[unit];
  return std::any_of(replicas.begin(), replicas.end(),
                     [&](const Replica& r) { return r.shard == shard; });
}

/// Written so that it runs several comparisons at once: of all that a plan needs this is asked
/// most.
double Assignment::MaxUs(std::uint32_t layer) const {
  constexpr std::size_t kLanes = 8;
  const absl::Span<const double> us = LayerUs(layer);
  if (us.empty()) return 0;
  double lanes[kLanes];
  std::fill(lanes, lanes + kLanes, us[0]);
  std::size_t i = 0;
  for (; i + kLanes <= us.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      lanes[lane] = us[i + lane] > lanes[lane] ? us[i + lane] : lanes[lane];
    }
  }
  for (; i < us.size(); ++i) lanes[0] = std::max(lanes[0], us[i]);
  return *std::max_element(lanes, lanes + kLanes);
}

std::uint32_t Assignment::SlowestShard(std::uint32_t layer) const {
  const absl::Span<const double> us = LayerUs(layer);
  return static_cast<std::uint32_t>(std::find(us.begin(), us.end(), MaxUs(layer)) - us.begin());
}

double Assignment::StepUs() const {
  double sum = 0;
  for (std::uint32_t layer = 0; layer < problem_->layers && shards_ > 0; ++layer) {
    sum += MaxUs(layer);
  }
  return sum;
}

std::vector<double> Assignment::BusyUs() const {
  std::vector<double> busy(shards_, 0);
  for (std::uint32_t layer = 0; layer < problem_->layers; ++layer) {
    for (std::uint32_t shard = 0; shard < shards_; ++shard) busy[shard] += UsOf(layer, shard);
  }
  return busy;
}

std::vector<std::vector<std::uint32_t>> Assignment::UnitsOfShard() const {
  std::vector<std::vector<std::uint32_t>> result(shards_);
  for (std::uint32_t unit = 0; unit < replicas_.size(); ++unit) {
    for (const Replica& replica : replicas_[unit]) result[replica.shard].push_back(unit);
  }
  return result;
}

}  // namespace moesaic::placement
