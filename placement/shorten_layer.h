#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "placement/balance_options.h"
#include "placement/placement_plan.h"
#include "placement/spread_rule.h"

namespace moesaic::placement {

/// A change for speed.
struct PlacementStep {
  enum class Kind : std::uint8_t { kMove, kReplicate, kExchange };
  Kind kind = Kind::kMove;
  std::uint32_t unit = 0;
  std::uint32_t from =
      0;  ///< The slowest shard of the layer; with kReplicate it keeps its replica.
  std::uint32_t to = 0;
  std::uint32_t other = 0;  ///< kExchange: the unit that comes back.
};

/// What was done to a layer, and what it is predicted to gain.
struct LayerChange {
  std::uint32_t layer = 0;
  double us_before = 0;
  double us_after = 0;
  std::vector<PlacementStep> steps;
};

/// Shortens layers by steepest descent: as long as it helps, the slowest shard gives a unit to
/// another shard, shares one with another (a further replica), or exchanges one. Every step fits
/// beside what shards hold, and keeps replicas apart. Single-thread.
class LayerShortener {
 public:
  /// plan: borrowed, changed. us_per_load: what the loading of one unit must gain in microseconds
  /// of its layer, beside options.min_unit_gain. even_shares: no layer takes more than its share of
  /// the memory there is for further replicas, so that the last finds as much as the first.
  LayerShortener(PlacementPlan& plan, const BalanceOptions& options, double us_per_load,
                 bool even_shares);

  /// Changes the plan for the layer up to where a further step does not pay for its loads.
  LayerChange Shorten(std::uint32_t layer);
  /// Whether a step was not possible because no shard had room for it.
  bool short_of_room() const { return short_of_room_; }

 private:
  struct Candidate {
    PlacementStep step;
    double us = 0;  // of the slowest of the shards concerned, afterwards; to compare by
  };
  std::optional<Candidate> BestStep(std::uint32_t layer, std::uint32_t slowest);
  void TryUnit(std::uint32_t layer, std::uint32_t slowest, const Assignment::Replica& replica,
               std::uint32_t unit, std::optional<Candidate>& best);
  void TryExchanges(std::uint32_t layer, std::uint32_t slowest, std::optional<Candidate>& best);
  double UsWhenReplicated(std::uint32_t layer, std::uint32_t unit, std::uint32_t shard) const;
  bool MayReplicate(std::uint32_t layer, std::uint32_t shard) const;
  /// Returns how many more units have to be loaded.
  int Apply(const PlacementStep& step);
  void Undo(const PlacementStep& step);

  PlacementPlan& plan_;
  const BalanceOptions& options_;
  const double us_per_load_;
  const bool even_shares_;
  SpreadRule rule_;
  std::vector<std::int64_t> spare_;  // [shards] units that further replicas leave free
  std::uint64_t extra_left_ = 0;     // further replicas, of all layers
  std::uint64_t extra_per_layer_ = 0;
  std::uint64_t layer_extra_left_ = 0;  // of the layer that is being shortened
  bool short_of_room_ = false;
};

}  // namespace moesaic::placement
