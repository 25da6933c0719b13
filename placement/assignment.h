#pragma once

#include <cstdint>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"
#include "placement/placement_problem.h"
#include "placement/time_model.h"

namespace moesaic::placement {

/// A placement in the making: who holds what, and how long each shard computes for one expert call
/// of each layer. The rows of a replicated unit divide among its replicas as a router that asks the
/// replica predicted to complete first divides them in the mean: the replicas it uses complete at
/// the same time, and those that would complete later get nothing. Copyable; single-thread.
/// Shards and units are given by their index in the problem.
class Assignment {
 public:
  struct Replica {
    std::uint32_t shard = 0;
    double share = 0;  ///< Of the unit's load; those of a unit sum to 1.
  };
  using Replicas = absl::InlinedVector<Replica, 3>;

  /// Both borrowed; starts empty.
  Assignment(const PlacementProblem& problem, const TimeModel& model);

  /// Adds a replica (there is none on the shard) and divides the unit's load anew.
  void Add(std::uint32_t unit, std::uint32_t shard);
  /// Removes the replica (there is one on the shard) and divides the unit's load anew.
  void Remove(std::uint32_t unit, std::uint32_t shard);
  /// Divides a unit's load among its replicas, given what else its shards do in the layer.
  void Divide(std::uint32_t unit);
  /// Divides every unit of the layer in turns until nothing changes much, and sums its times anew.
  void Settle(std::uint32_t layer);
  void SettleAll();

  const Replicas& replicas(std::uint32_t unit) const { return replicas_[unit]; }
  bool Holds(std::uint32_t shard, std::uint32_t unit) const;
  /// Units of the layer on the shard, in no order.
  const std::vector<std::uint32_t>& units(std::uint32_t layer, std::uint32_t shard) const {
    return units_[Cell(layer, shard)];
  }
  std::uint32_t count(std::uint32_t shard) const { return count_[shard]; }
  /// [shards] Time for one call of the layer.
  absl::Span<const double> LayerUs(std::uint32_t layer) const {
    return absl::MakeConstSpan(layer_us_).subspan(Cell(layer, 0), shards_);
  }
  double UsOf(std::uint32_t layer, std::uint32_t shard) const {
    return layer_us_[Cell(layer, shard)];
  }
  /// The same, had every replica to take its unit's whole load.
  double FullUsOf(std::uint32_t layer, std::uint32_t shard) const {
    return full_us_[Cell(layer, shard)];
  }
  std::uint32_t SlowestShard(std::uint32_t layer) const;
  /// Time for one call of the layer: that of its slowest shard.
  double MaxUs(std::uint32_t layer) const;
  /// Time for one call of every layer.
  double StepUs() const;
  /// [shards] Time for one call of every layer, its own work only.
  std::vector<double> BusyUs() const;

  std::uint32_t LayerOf(std::uint32_t unit) const { return unit / problem_->units_per_layer; }
  std::uint32_t shards() const { return shards_; }
  const PlacementProblem& problem() const { return *problem_; }
  const TimeModel& model() const { return *model_; }
  /// [shards], each ascending.
  std::vector<std::vector<std::uint32_t>> UnitsOfShard() const;

 private:
  std::size_t Cell(std::uint32_t layer, std::uint32_t shard) const {
    return std::size_t{layer} * shards_ + shard;
  }
  double DivideAndMeasure(std::uint32_t unit);

  const PlacementProblem* problem_;
  const TimeModel* model_;
  std::uint32_t shards_;
  std::vector<Replicas> replicas_;                 // [units]
  std::vector<std::vector<std::uint32_t>> units_;  // [layers][shards]
  std::vector<double> layer_us_, full_us_;         // [layers][shards]
  std::vector<std::uint32_t> count_;               // [shards]
};

}  // namespace moesaic::placement
