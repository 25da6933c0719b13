#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "absl/time/time.h"
#include "base/ids.h"
#include "placement/placement_problem.h"
#include "placement/view/load_report.h"

namespace moesaic::placement {

/// Moving averages of what all routers report: a report fades exponentially with its age. Memory is
/// two numbers per unit and four per shard, whatever the traffic. Pure: time is passed in.
/// Single-thread.
class LoadStatistics {
 public:
  /// What routers see of one shard, averaged.
  struct ShardLoad {
    double rows_per_s = 0;             ///< Rows sent, all routers together.
    absl::Duration mean_round_trip{};  ///< Zero when nothing was answered.
    absl::Duration mean_queue_wait{};
  };

  /// `time_constant`: after so long a report weighs 1/e.
  explicit LoadStatistics(absl::Duration time_constant) : time_constant_(time_constant) {}

  /// Forgets everything; there are so many units from now on.
  void Reset(std::uint32_t units);
  /// Takes in a report, checked against the topology. Requires: units below Reset's.
  void Add(absl::Duration now, const LoadReport& report);

  /// Whether enough calls are known to tell units apart.
  bool Known(std::uint32_t layers) const;
  /// Mean per expert call of each unit's layer, [units]; empty unless Known.
  std::vector<UnitLoad> Loads(std::uint32_t layers) const;
  /// (Row, expert) assignments per second of each unit, [units], all routers together.
  std::vector<float> RowsPerSecond(absl::Duration now) const;
  ShardLoad Of(base::ShardId shard, absl::Duration now) const;

 private:
  struct ShardSums {
    double rows = 0;
    double dispatches = 0;
    double round_trip_us = 0;
    double queue_wait_us = 0;
  };
  /// What is left of the sums at `now`.
  double KeptAt(absl::Duration now) const;
  /// Ages all sums to `now`.
  void Fade(absl::Duration now);

  const absl::Duration time_constant_;
  absl::Duration faded_at_ = -absl::InfiniteDuration();
  double calls_ = 0;
  std::vector<UnitLoad> sums_;  // [units]
  std::map<base::ShardId, ShardSums> shards_;
};

}  // namespace moesaic::placement
