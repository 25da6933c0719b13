#include "placement/forecast.h"

#include <algorithm>

namespace moesaic::placement {

double PerfectLayerUs(const PlacementProblem& problem, const TimeModel& model,
                      std::uint32_t layer) {
  double rows = 0, experts = 0;
  for (std::uint32_t i = 0; i < problem.units_per_layer; ++i) {
    rows += model.rows(layer * problem.units_per_layer + i);
    experts += model.experts(layer * problem.units_per_layer + i);
  }
  double speed = 0;  // layers per microsecond, of all shards together
  for (std::uint32_t shard = 0; shard < problem.shards.size(); ++shard) {
    const double us = model.LoadUs(shard, rows, experts);
    if (us > 0) speed += 1 / us;
  }
  return speed > 0 ? 1 / speed : 0;
}

Forecast ForecastAssignment(const Assignment& assignment) {
  const PlacementProblem& problem = assignment.problem();
  const TimeModel& model = assignment.model();
  Forecast forecast;
  forecast.busy_us = assignment.BusyUs();
  double perfect_step_us = 0;
  std::vector<double> experts(assignment.shards());
  for (std::uint32_t layer = 0; layer < problem.layers && assignment.shards() > 0; ++layer) {
    const double us = assignment.MaxUs(layer);
    const double perfect_us = PerfectLayerUs(problem, model, layer);
    forecast.step_us += us;
    forecast.layer_us.push_back(us);
    forecast.layer_imbalance.push_back(perfect_us > 0 ? us / perfect_us : 1);
    perfect_step_us += perfect_us;
    std::fill(experts.begin(), experts.end(), 0);
    for (std::uint32_t i = 0; i < problem.units_per_layer; ++i) {
      const std::uint32_t unit = layer * problem.units_per_layer + i;
      for (const Assignment::Replica& replica : assignment.replicas(unit)) {
        experts[replica.shard] += std::min(model.experts(unit), replica.share * model.rows(unit));
      }
    }
    forecast.max_experts =
        std::max(forecast.max_experts, *std::max_element(experts.begin(), experts.end()));
  }
  forecast.imbalance = perfect_step_us > 0 ? forecast.step_us / perfect_step_us : 1;
  const auto units_of_shard = assignment.UnitsOfShard();
  for (std::uint32_t shard = 0; shard < assignment.shards(); ++shard) {
    std::vector<std::uint32_t> held = problem.shards[shard].held;
    std::sort(held.begin(), held.end());
    std::uint64_t bytes = 0;
    for (const std::uint32_t unit : units_of_shard[shard]) {
      if (!std::binary_search(held.begin(), held.end(), unit)) bytes += problem.unit_bytes;
    }
    forecast.move_bytes += bytes;
    forecast.max_move_bytes = std::max(forecast.max_move_bytes, bytes);
  }
  return forecast;
}

Forecast ForecastPlacement(const PlacementProblem& problem,
                           absl::Span<const std::vector<std::uint32_t>> units_of_shard) {
  const TimeModel model(problem);
  Assignment assignment(problem, model);
  for (std::uint32_t shard = 0; shard < units_of_shard.size(); ++shard) {
    for (const std::uint32_t unit : units_of_shard[shard]) assignment.Add(unit, shard);
  }
  assignment.SettleAll();
  return ForecastAssignment(assignment);
}

}  // namespace moesaic::placement
