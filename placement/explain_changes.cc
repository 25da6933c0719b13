#include "placement/explain_changes.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace moesaic::placement {
namespace {

/// Names layers, units and shards as operators know them.
class Names {
 public:
  explicit Names(const PlacementProblem& problem) : problem_(problem) {}

  std::string Unit(std::uint32_t unit) const {
    const std::uint32_t layer = unit / problem_.units_per_layer;
    const bool numbered = layer < problem_.layer_numbers.size();
    return absl::StrCat("layer ", numbered ? problem_.layer_numbers[layer] : layer, " unit ",
                        unit % problem_.units_per_layer);
  }
  std::string Shard(std::uint32_t shard) const {
    return absl::StrCat("shard ", problem_.shards[shard].id.value());
  }

 private:
  const PlacementProblem& problem_;
};

double ShareOfRows(const PlacementPlan& plan, std::uint32_t unit) {
  const std::uint32_t layer = plan.assignment().LayerOf(unit);
  double sum = 0;
  for (std::uint32_t i = 0; i < plan.problem().units_per_layer; ++i) {
    sum += plan.model().rows(layer * plan.problem().units_per_layer + i);
  }
  return sum > 0 ? plan.model().rows(unit) / sum : 0;
}

std::string Explain(const PlacementPlan& plan, const PlacementStep& step) {
  const Names names(plan.problem());
  const std::string load =
      absl::StrFormat("%.1f %% of the layer's rows, ", 100 * ShareOfRows(plan, step.unit));
  const std::string slowest = absl::StrCat(names.Shard(step.from), " was the slowest of its layer");
  switch (step.kind) {
    case PlacementStep::Kind::kReplicate:
      return absl::StrCat(names.Unit(step.unit), ": one more replica, on ", names.Shard(step.to),
                          ": ", load, slowest);
    case PlacementStep::Kind::kMove:
      return absl::StrCat(names.Unit(step.unit), ": from ", names.Shard(step.from), " to ",
                          names.Shard(step.to), ": ", load, slowest);
    case PlacementStep::Kind::kExchange:
      return absl::StrCat(names.Unit(step.unit), ": from ", names.Shard(step.from), " to ",
                          names.Shard(step.to), ", against unit ",
                          step.other % plan.problem().units_per_layer, ": ", load, slowest);
  }
  return "";
}

}  // namespace

std::vector<std::string> ReasonList::Take(std::size_t most) && {
  if (lines_.size() > most && most > 0) {
    const std::size_t beside = lines_.size() - (most - 1);
    lines_.resize(most - 1);
    lines_.push_back(absl::StrCat("and ", beside, " more"));
  }
  return std::move(lines_);
}

std::vector<LayerChange> MergeByLayer(std::vector<LayerChange> changes) {
  std::stable_sort(changes.begin(), changes.end(),
                   [](const LayerChange& a, const LayerChange& b) { return a.layer < b.layer; });
  std::vector<LayerChange> merged;
  for (LayerChange& change : changes) {
    if (merged.empty() || merged.back().layer != change.layer) {
      merged.push_back(std::move(change));
      continue;
    }
    merged.back().us_after = change.us_after;
    merged.back().steps.insert(merged.back().steps.end(), change.steps.begin(), change.steps.end());
  }
  return merged;
}

void ExplainChanges(const PlacementPlan& before, const PlacementPlan& after,
                    std::vector<LayerChange> changes, ReasonList& reasons) {
  std::stable_sort(changes.begin(), changes.end(), [](const LayerChange& a, const LayerChange& b) {
    return a.us_before - a.us_after > b.us_before - b.us_after;
  });
  std::size_t steps = 0, replicas = 0;
  std::vector<std::string> lines;
  for (const LayerChange& change : changes) {
    for (const PlacementStep& step : change.steps) {
      const bool replicates = step.kind == PlacementStep::Kind::kReplicate;
      if (!before.anything_held() && !replicates) continue;
      ++steps;
      replicas += replicates;
      lines.push_back(Explain(before, step));
    }
  }
  if (steps == 0) return;
  reasons.Add(absl::StrFormat(
      "for speed: %d changes, %d of them further replicas; a step is predicted to take %.0f us "
      "instead of %.0f us",
      steps, replicas, after.assignment().StepUs(), before.assignment().StepUs()));
  for (std::string& line : lines) reasons.Add(std::move(line));
}

}  // namespace moesaic::placement
