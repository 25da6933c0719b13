#pragma once

#include <cstdint>
#include <vector>

#include "placement/assignment.h"
#include "placement/layer_quota.h"
#include "placement/placement_problem.h"
#include "placement/shortfall.h"
#include "placement/time_model.h"

namespace moesaic::placement {

/// An assignment together with the memory it has to fit into, and with what shards hold already.
/// Copyable, so that a plan which is not worth its moves can be given up; single-thread.
class PlacementPlan {
 public:
  /// All borrowed; starts with what shards hold, once each, beyond their memory if they are.
  PlacementPlan(const PlacementProblem& problem, const TimeModel& model,
                const FailureDomains& domains);

  void Add(std::uint32_t unit, std::uint32_t shard);
  void Remove(std::uint32_t unit, std::uint32_t shard);
  /// A removed replica may be unloaded at once, because others that are there stay: its room is
  /// free.
  void Forget(std::uint32_t unit, std::uint32_t shard);
  void Release(std::uint32_t unit, std::uint32_t shard) {
    Remove(unit, shard);
    Forget(unit, shard);
  }
  void Settle(std::uint32_t layer) { assignment_.Settle(layer); }
  /// Divides the load of all units of the layer on the shard anew.
  void Divide(std::uint32_t layer, std::uint32_t shard);

  /// Units that still fit once everything is as planned; negative when there are too many.
  std::int64_t Room(std::uint32_t shard) const {
    return std::int64_t{fits_[shard]} - assignment_.count(shard);
  }
  /// Units that fit beside what is planned and what will only go when its successor is there.
  std::int64_t RoomToMove(std::uint32_t shard) const {
    return std::int64_t{fits_[shard]} - occupied_[shard];
  }
  std::uint32_t fits(std::uint32_t shard) const { return fits_[shard]; }
  /// The shard's even share of memory for the layer.
  std::uint32_t quota(std::uint32_t layer, std::uint32_t shard) const {
    return quotas_[layer][shard];
  }
  bool Held(std::uint32_t shard, std::uint32_t unit) const;
  /// Whether any shard holds anything; without, everything has to be loaded anyway.
  bool anything_held() const { return anything_held_; }

  const Assignment& assignment() const { return assignment_; }
  const FailureDomains& domains() const { return *domains_; }
  const PlacementProblem& problem() const { return assignment_.problem(); }
  const TimeModel& model() const { return assignment_.model(); }
  /// [shards] Time of one step, had every replica to take its unit's whole load.
  double FullBusyUs(std::uint32_t shard) const { return full_busy_us_[shard]; }

 private:
  Assignment assignment_;
  const FailureDomains* domains_;
  std::vector<std::uint32_t> fits_;                 // [shards]
  std::vector<std::vector<std::uint32_t>> quotas_;  // [layers][shards]
  std::vector<std::vector<std::uint32_t>> held_;    // [shards], each ascending
  std::vector<std::uint32_t> occupied_;             // [shards] units held or planned
  std::vector<double> full_busy_us_;                // [shards]
  bool anything_held_ = false;
};

}  // namespace moesaic::placement
