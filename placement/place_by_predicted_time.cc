#include "placement/place_by_predicted_time.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "placement/drop_useless.h"
#include "placement/explain_changes.h"
#include "placement/lighten_busiest.h"
#include "placement/place_required.h"
#include "placement/placement_plan.h"
#include "placement/shorten_layer.h"
#include "placement/shortfall.h"

namespace moesaic::placement {
namespace {

/// A plan that gains less is not worth a word.
constexpr double kWorthMentioning = 0.002;
/// What one layer gives up is room for another, and a shorter layer makes smaller steps worth
/// while: layers are gone through again as long as that gains this share.
constexpr double kWorthAnotherPass = 0.005;
constexpr int kMaxPasses = 4;
/// In the first of them every layer keeps to its even share of memory; then what is left is free.
constexpr int kEvenPasses = 2;

double BusiestUs(const PlacementPlan& plan) {
  const std::vector<double> busy = plan.assignment().BusyUs();
  return busy.empty() ? 0 : *std::max_element(busy.begin(), busy.end());
}

double Gain(double before, double after) { return before > 0 ? 1 - after / before : 0; }

/// Units that some shard has to load for `after` and not for `before`, of the shard with most.
std::uint64_t MostLoads(const PlacementPlan& before, const PlacementPlan& after) {
  std::uint64_t most = 0;
  const auto planned = before.assignment().UnitsOfShard();
  const auto units = after.assignment().UnitsOfShard();
  for (std::uint32_t shard = 0; shard < units.size(); ++shard) {
    std::uint64_t loads = 0;
    for (const std::uint32_t unit : units[shard]) {
      loads += !after.Held(shard, unit) &&
               !std::binary_search(planned[shard].begin(), planned[shard].end(), unit);
    }
    most = std::max(most, loads);
  }
  return most;
}

std::vector<std::uint32_t> SlowestFirst(const PlacementPlan& plan,
                                        std::vector<std::uint32_t> layers) {
  std::stable_sort(layers.begin(), layers.end(), [&](std::uint32_t a, std::uint32_t b) {
    return plan.assignment().MaxUs(a) > plan.assignment().MaxUs(b);
  });
  return layers;
}

class Balancer {
 public:
  Balancer(const PlacementProblem& problem, const BalanceOptions& options)
      : problem_(problem),
        options_(options),
        model_(problem),
        domains_(problem.shards),
        plan_(problem, model_, domains_) {}

  PlacementDecision Place();

 private:
  void ShortenLayers();
  std::vector<LayerChange> Shorten(PlacementPlan& plan, const std::vector<std::uint32_t>& layers);
  void Lighten();
  bool Pays(const PlacementPlan& trial, double gain, const char* what);
  double LoadSeconds(double units) const {
    return units * static_cast<double>(problem_.unit_bytes) / options_.move_bytes_per_s;
  }

  const PlacementProblem& problem_;
  const BalanceOptions& options_;
  const TimeModel model_;
  const FailureDomains domains_;
  PlacementPlan plan_;
  ReasonList reasons_;
};

PlacementDecision Balancer::Place() {
  PlacementDecision decision;
  if (problem_.units() > 0 && !problem_.shards.empty()) {
    for (std::string& reason : PlaceRequired(plan_)) reasons_.Add(std::move(reason));
    ShortenLayers();
    Lighten();
    // What moved made room, perhaps for replicas that could not be apart before. Later this would
    // be moves; now it is only another plan.
    if (!plan_.anything_held()) PlaceRequired(plan_);
  }
  decision.units_of_shard = plan_.assignment().UnitsOfShard();
  decision.shortfall = MeasureShortfall(problem_, decision.units_of_shard);
  decision.warnings = DescribeShortfall(problem_, decision.shortfall);
  decision.reasons = std::move(reasons_).Take(options_.max_reasons);
  return decision;
}

void Balancer::ShortenLayers() {
  std::vector<std::uint32_t> layers(problem_.layers);
  for (std::uint32_t layer = 0; layer < problem_.layers; ++layer) layers[layer] = layer;
  PlacementPlan trial = plan_;
  std::vector<LayerChange> changes = Shorten(trial, layers);
  const double before = plan_.assignment().StepUs();
  double gain = Gain(before, trial.assignment().StepUs());
  if (plan_.anything_held() && gain < options_.min_gain) {
    std::erase_if(changes, [&](const LayerChange& change) {
      return Gain(change.us_before, change.us_after) < options_.min_layer_gain;
    });
    if (changes.empty()) {
      if (gain < kWorthMentioning) return;
      return reasons_.Add(absl::StrFormat(
          "no change: the best plan would shorten a step by %.1f %%, below the %.1f %% that a move "
          "must gain",
          100 * gain, 100 * options_.min_gain));
    }
    layers.clear();
    for (const LayerChange& change : changes) layers.push_back(change.layer);
    trial = plan_;
    changes = Shorten(trial, layers);
    gain = Gain(before, trial.assignment().StepUs());
  }
  if (!Pays(trial, gain, "shorten a step")) return;
  ExplainChanges(plan_, trial, changes, reasons_);
  plan_ = std::move(trial);
}

/// Shortens the layers, again as long as it gains; where memory was in the way, without replicas
/// that are of no use.
std::vector<LayerChange> Balancer::Shorten(PlacementPlan& plan,
                                           const std::vector<std::uint32_t>& layers) {
  // All shards load side by side, so a unit costs its share of one shard's time.
  const double load_us = LoadSeconds(1.0 / static_cast<double>(problem_.shards.size())) /
                         options_.horizon_s * plan.assignment().StepUs();
  const double us_per_load = plan.anything_held() ? load_us : 0;
  std::vector<LayerChange> changes;
  for (int pass = 0; pass < kMaxPasses; ++pass) {
    const double before = plan.assignment().StepUs();
    LayerShortener shortener(plan, options_, us_per_load, pass < kEvenPasses);
    for (const std::uint32_t layer : SlowestFirst(plan, layers)) {
      LayerChange change = shortener.Shorten(layer);
      if (!change.steps.empty()) changes.push_back(std::move(change));
    }
    const bool short_of_room = shortener.short_of_room();
    const bool dropped = short_of_room && DropUseless(plan) > 0;
    if (short_of_room && pass < kEvenPasses) continue;
    if (!dropped && Gain(before, plan.assignment().StepUs()) < kWorthAnotherPass) break;
  }
  return MergeByLayer(std::move(changes));
}

void Balancer::Lighten() {
  PlacementPlan trial = plan_;
  const std::vector<PlacementStep> steps = LightenBusiest(trial);
  if (steps.empty()) return;
  const double before = BusiestUs(plan_), after = BusiestUs(trial);
  const double gain = Gain(before, after);
  if (trial.assignment().StepUs() > plan_.assignment().StepUs() * (1 + 1e-6)) return;
  if (plan_.anything_held()) {
    if (gain < options_.min_gain || !Pays(trial, gain, "relieve the busiest shard")) {
      return;
    }
    reasons_.Add(absl::StrFormat(
        "%d units leave the busiest shards: the busiest then has %.0f us to do in a step instead "
        "of %.0f us",
        steps.size(), after, before));
  }
  plan_ = std::move(trial);
}

/// Whether the time that is saved until the loads have changed exceeds the time of the moves.
bool Balancer::Pays(const PlacementPlan& trial, double gain, const char* what) {
  if (!plan_.anything_held()) return true;
  const double seconds = LoadSeconds(static_cast<double>(MostLoads(plan_, trial)));
  if (gain > 0 && seconds <= gain * options_.horizon_s) return true;
  if (gain >= kWorthMentioning) {
    reasons_.Add(absl::StrFormat(
        "no change: the best plan would %s by %.1f %%, but its moves take %.0f s, more than that "
        "saves in %.0f s",
        what, 100 * gain, seconds, options_.horizon_s));
  }
  return false;
}

}  // namespace

PlacementDecision PlaceByPredictedTime(const PlacementProblem& problem,
                                       const BalanceOptions& options) {
  return Balancer(problem, options).Place();
}

}  // namespace moesaic::placement
