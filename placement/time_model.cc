#include "placement/time_model.h"

#include <algorithm>

namespace moesaic::placement {

TimeModel::TimeModel(const PlacementProblem& problem)
    : loads_known_(problem.loads.size() == problem.units()) {
  double sum_per_row = 0, sum_per_expert = 0;
  std::size_t measured = 0;
  for (const ShardCapacity& shard : problem.shards) {
    if (shard.us_per_row <= 0) continue;
    sum_per_row += shard.us_per_row;
    sum_per_expert += shard.us_per_expert;
    ++measured;
  }
  if (measured > 0) {
    mean_us_per_row_ = sum_per_row / static_cast<double>(measured);
    mean_us_per_expert_ = sum_per_expert / static_cast<double>(measured);
  }
  for (const ShardCapacity& shard : problem.shards) {
    const bool known = shard.us_per_row > 0;
    us_per_row_.push_back(known ? shard.us_per_row : mean_us_per_row_);
    us_per_expert_.push_back(known ? shard.us_per_expert : mean_us_per_expert_);
  }
  rows_.assign(problem.units(), 1);
  experts_.assign(problem.units(), 1);
  if (!loads_known_) return;
  for (std::uint32_t layer = 0; layer < problem.layers; ++layer) {
    const auto begin = problem.loads.begin() + std::size_t{layer} * problem.units_per_layer;
    const auto end = begin + problem.units_per_layer;
    if (std::none_of(begin, end, [](const UnitLoad& load) { return load.rows > 0; })) continue;
    for (auto load = begin; load != end; ++load) {
      rows_[load - problem.loads.begin()] = std::max(0.0f, load->rows);
      experts_[load - problem.loads.begin()] =
          std::clamp(load->experts, 0.0f, std::max(0.0f, load->rows));
    }
  }
}

}  // namespace moesaic::placement
