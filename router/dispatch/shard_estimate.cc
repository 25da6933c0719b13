#include "router/dispatch/shard_estimate.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace moesaic::router {
namespace {

/// Weight of one answer in an average.
constexpr double kEstimateSmoothing = 0.2;
/// A queue seen this long ago is half forgotten.
constexpr absl::Duration kQueueHalfLife = absl::Milliseconds(50);
/// So is the way there, which one answer cannot make longer than this factor: else a shard that has
/// been late once would never be chosen again, and so never be found to be quick again.
constexpr absl::Duration kWayHalfLife = absl::Milliseconds(200);
constexpr double kWayGrowth = 2;
/// Only its ratio to itself matters: all shards that nothing is known of cost the same.
constexpr double kGuessedUsPerRow = 5;

/// Fewer answers than this do not make a 99th percentile, only a guess at it.
constexpr std::uint32_t kEnoughSamples = 50;
constexpr double kHedgeQuantile = 0.99;
/// Without enough samples: late means several times what was predicted.
constexpr double kGuessedSpread = 8;
constexpr absl::Duration kGuessedHedgeFloor = absl::Milliseconds(50);
constexpr absl::Duration kHedgeFloor = absl::Milliseconds(1);
constexpr absl::Duration kHedgeCeiling = absl::Seconds(2);

double Micros(absl::Duration duration) { return absl::ToDoubleMicroseconds(duration); }

void Average(double value, double& average) {
  average = average == 0 ? value : (1 - kEstimateSmoothing) * average + kEstimateSmoothing * value;
}

}  // namespace

int ShardEstimate::SizeClass(std::uint32_t rows) {
  return std::min(kSizes - 1, std::max(0, static_cast<int>(std::bit_width(rows)) - 1));
}

void ShardEstimate::OnAnswer(const Answer& answer, absl::Duration now) {
  LaneEstimate& seen = lane(answer.lane);
  seen.round_trips[SizeClass(answer.rows)].Add(answer.round_trip);
  seen.queue_wait_us = (1 - kEstimateSmoothing) * seen.queue_wait_us +
                       kEstimateSmoothing * Micros(answer.queue_wait);
  seen.heard = now;
  const double way = Micros(answer.round_trip - answer.queue_wait - answer.compute);
  const double most = seen.way_us == 0 ? way : kWayGrowth * seen.way_us;
  Average(std::max(1.0, std::min(way, most)), seen.way_us);
  if (answer.ns_per_row > 0) {
    us_per_row_ = answer.ns_per_row * 1e-3;
    us_per_expert_ = answer.ns_per_expert * 1e-3;
  } else if (answer.batch_rows > 0) {
    Average(Micros(answer.compute) / answer.batch_rows, us_per_row_);
  }
}

void ShardEstimate::OnAbandoned(rpc::Lane on, std::uint32_t rows, absl::Duration waited) {
  lane(on).round_trips[SizeClass(rows)].Add(waited);
}

absl::Duration ShardEstimate::Cost(const ShardWork& work, const placement::ShardInfo& info) const {
  double per_row = us_per_row_;
  double per_expert = us_per_expert_;
  if (per_row == 0) {
    per_row = info.us_per_row > 0 ? info.us_per_row : kGuessedUsPerRow;
    per_expert = info.us_per_expert;
  }
  return absl::Microseconds(per_row * work.rows + per_expert * work.experts);
}

absl::Duration ShardEstimate::Overhead(rpc::Lane on, absl::Duration now) const {
  const LaneEstimate& seen = lane(on);
  const absl::Duration age = std::max(absl::ZeroDuration(), now - seen.heard);
  const double queue = seen.queue_wait_us * std::exp2(-absl::FDivDuration(age, kQueueHalfLife));
  const double way = seen.way_us * std::exp2(-absl::FDivDuration(age, kWayHalfLife));
  return absl::Microseconds(queue + way);
}

absl::Duration ShardEstimate::HedgeAfter(rpc::Lane on, std::uint32_t rows,
                                         absl::Duration predicted) const {
  const LatencyQuantile& seen = lane(on).round_trips[SizeClass(rows)];
  const absl::Duration after = seen.samples() >= kEnoughSamples
                                   ? seen.At(kHedgeQuantile)
                                   : std::max(kGuessedHedgeFloor, kGuessedSpread * predicted);
  return std::clamp(after, kHedgeFloor, kHedgeCeiling);
}

}  // namespace moesaic::router
