#include "placement/expert_figures.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "placement/assignment.h"
#include "placement/time_model.h"

namespace moesaic::placement {
namespace {

constexpr std::size_t kHottest = 10;
constexpr std::uint32_t kLayersPerGroup = 8;

std::vector<ExpertFigures::HotUnit> Hottest(const std::vector<float>& rates,
                                            const std::vector<std::uint32_t>& copies) {
  std::vector<std::uint32_t> units(rates.size());
  std::iota(units.begin(), units.end(), 0);
  const std::size_t count = std::min(kHottest, units.size());
  std::partial_sort(units.begin(), units.begin() + static_cast<std::ptrdiff_t>(count), units.end(),
                    [&](std::uint32_t a, std::uint32_t b) {
                      return std::pair(-rates[a], a) < std::pair(-rates[b], b);
                    });
  std::vector<ExpertFigures::HotUnit> hottest;
  for (std::size_t i = 0; i < count && rates[units[i]] > 0; ++i) {
    hottest.push_back({units[i], rates[units[i]], copies[units[i]]});
  }
  return hottest;
}

/// Predicted busy time of the busiest over the mean.
double Imbalance(const std::vector<double>& busy_us) {
  const double sum = std::accumulate(busy_us.begin(), busy_us.end(), 0.0);
  if (sum <= 0) return 0;
  return *std::max_element(busy_us.begin(), busy_us.end()) * static_cast<double>(busy_us.size()) /
         sum;
}

}  // namespace

ExpertFigures MakeExpertFigures(const Coordinator& coordinator) {
  ExpertFigures figures;
  if (!coordinator.membership().model()) return figures;
  const PlacementProblem problem = coordinator.MakeProblem();
  const TimeModel model(problem);
  Assignment assignment(problem, model);
  std::vector<std::uint32_t> copies(problem.units());
  for (std::uint32_t shard = 0; shard < problem.shards.size(); ++shard) {
    const Member& member = *coordinator.membership().Find(problem.shards[shard].id);
    if (member.state != Member::State::kLive) continue;
    for (const std::uint32_t unit : member.held) {
      assignment.Add(unit, shard);
      ++copies[unit];
    }
  }
  assignment.SettleAll();
  const std::vector<float> rates = coordinator.loads().RowsPerSecond(coordinator.now());
  figures.hottest = Hottest(rates, copies);
  if (!problem.loads.empty()) figures.imbalance = Imbalance(assignment.BusyUs());
  for (std::uint32_t first = 0; first < problem.layers; first += kLayersPerGroup) {
    const std::uint32_t end = std::min(first + kLayersPerGroup, problem.layers);
    std::vector<double> rows(problem.shards.size());
    for (std::uint32_t unit = first * problem.units_per_layer; unit < end * problem.units_per_layer;
         ++unit) {
      for (const Assignment::Replica& replica : assignment.replicas(unit)) {
        rows[replica.shard] += replica.share * rates[unit];
      }
    }
    const std::string layers =
        absl::StrCat(problem.layer_numbers[first], "-", problem.layer_numbers[end - 1]);
    for (std::uint32_t shard = 0; shard < rows.size(); ++shard) {
      const base::ShardId id = problem.shards[shard].id;
      figures.shares.push_back(
          {coordinator.membership().Find(id)->description.name, layers, rows[shard]});
    }
  }
  return figures;
}

}  // namespace moesaic::placement
