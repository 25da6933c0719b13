#include "placement/load_statistics.h"

#include <cmath>

namespace moesaic::placement {
namespace {

/// Fewer calls of a layer than this say more of chance than of its units.
constexpr double kEnoughCalls = 20;
/// Sums this small are of a shard that has left.
constexpr double kForgotten = 1e-6;

}  // namespace

void LoadStatistics::Reset(std::uint32_t units) {
  faded_at_ = -absl::InfiniteDuration();
  calls_ = 0;
  sums_.assign(units, {});
  shards_.clear();
}

double LoadStatistics::KeptAt(absl::Duration now) const {
  return std::exp(-std::max(0.0, absl::FDivDuration(now - faded_at_, time_constant_)));
}

void LoadStatistics::Fade(absl::Duration now) {
  const double keep = KeptAt(now);
  faded_at_ = now;
  calls_ *= keep;
  for (UnitLoad& unit : sums_) {
    unit.rows *= static_cast<float>(keep);
    unit.experts *= static_cast<float>(keep);
  }
  for (auto& [id, shard] : shards_) {
    shard.rows *= keep;
    shard.dispatches *= keep;
    shard.round_trip_us *= keep;
    shard.queue_wait_us *= keep;
  }
  std::erase_if(shards_, [](const auto& entry) { return entry.second.dispatches < kForgotten; });
}

void LoadStatistics::Add(absl::Duration now, const LoadReport& report) {
  Fade(now);
  calls_ += static_cast<double>(report.calls);
  for (const LoadReport::Unit& unit : report.units) {
    sums_[unit.number].rows += static_cast<float>(unit.rows);
    sums_[unit.number].experts += static_cast<float>(unit.experts);
  }
  for (const LoadReport::Shard& shard : report.shards) {
    ShardSums& sums = shards_[shard.id];
    sums.rows += static_cast<double>(shard.rows);
    sums.dispatches += static_cast<double>(shard.dispatches);
    sums.round_trip_us += absl::ToDoubleMicroseconds(shard.round_trip);
    sums.queue_wait_us += absl::ToDoubleMicroseconds(shard.queue_wait);
  }
}

bool LoadStatistics::Known(std::uint32_t layers) const { return calls_ >= kEnoughCalls * layers; }

std::vector<UnitLoad> LoadStatistics::Loads(std::uint32_t layers) const {
  if (!Known(layers)) return {};
  const double calls_per_layer = calls_ / layers;
  std::vector<UnitLoad> loads = sums_;
  for (UnitLoad& unit : loads) {
    unit.rows /= static_cast<float>(calls_per_layer);
    unit.experts /= static_cast<float>(calls_per_layer);
  }
  return loads;
}

std::vector<float> LoadStatistics::RowsPerSecond(absl::Duration now) const {
  // The sum of a steady stream is its rate times the time constant.
  const double scale = KeptAt(now) / absl::ToDoubleSeconds(time_constant_);
  std::vector<float> rates;
  rates.reserve(sums_.size());
  for (const UnitLoad& unit : sums_) rates.push_back(static_cast<float>(unit.rows * scale));
  return rates;
}

LoadStatistics::ShardLoad LoadStatistics::Of(base::ShardId shard, absl::Duration now) const {
  const auto found = shards_.find(shard);
  if (found == shards_.end()) return {};
  const ShardSums& sums = found->second;
  const double keep = KeptAt(now);
  return {.rows_per_s = sums.rows * keep / absl::ToDoubleSeconds(time_constant_),
          .mean_round_trip = absl::Microseconds(sums.round_trip_us / sums.dispatches),
          .mean_queue_wait = absl::Microseconds(sums.queue_wait_us / sums.dispatches)};
}

}  // namespace moesaic::placement
