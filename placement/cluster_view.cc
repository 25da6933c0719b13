#include "placement/cluster_view.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "placement/cluster_summary.h"
#include "placement/coordinator_metrics.h"
#include "placement/describe_cluster.h"

namespace moesaic::placement {
namespace {

/// Predictions for all units are made this often: loads are means over a minute.
constexpr absl::Duration kFiguresAge = absl::Seconds(5);

/// Three digits are enough to colour a cell.
double Rounded(double value) {
  if (value < 0.01) return 0;
  return value < 100 ? std::round(value * 100) / 100 : std::round(value);
}

}  // namespace

const ExpertFigures& ClusterView::Experts() {
  if (coordinator_.now() - experts_made_at_ >= kFiguresAge) {
    experts_ = MakeExpertFigures(coordinator_);
    experts_made_at_ = coordinator_.now();
  }
  return experts_;
}

v1::DescribeClusterResponse ClusterView::Describe() {
  v1::DescribeClusterResponse cluster = DescribeCluster(coordinator_);
  std::shared_ptr<const monitoring::PriceList> prices =
      options_.prices == nullptr ? nullptr : options_.prices->Get();
  const absl::Duration now = coordinator_.now();
  const ClusterLoad::Now load = coordinator_.cluster_load().At(now);
  const std::map<std::string, TenantLoad> tenants = coordinator_.cluster_load().Tenants(now);
  const NodeCosts costs = CostNodes(coordinator_, {.prices = prices.get(), .own = options_.own});
  *cluster.mutable_summary() =
      Summarise({.cluster = cluster,
                 .load = load,
                 .tenants = tenants,
                 .tenant_window = coordinator_.cluster_load().tenant_window(now),
                 .costs = costs,
                 .currency = prices == nullptr ? "" : prices->currency(),
                 .budget_per_month = options_.budget_per_month,
                 .imbalance = Experts().imbalance});
  return cluster;
}

std::string ClusterView::ExpertsJson() const {
  nlohmann::json json = {
      {"epoch", absl::StrCat(coordinator_.epoch().term, ".", coordinator_.epoch().version)},
      {"layers", nlohmann::json::array()},
      {"units_per_layer", 0},
      {"unit_size", 0},
      {"rows_per_s", nlohmann::json::array()},
      {"holders", nlohmann::json::array()}};
  if (!coordinator_.membership().model()) return json.dump();
  const ExpertTopology& topology = coordinator_.membership().topology();
  json["units_per_layer"] = topology.units_per_layer();
  json["unit_size"] = topology.unit_size;
  const std::vector<float> rates = coordinator_.loads().RowsPerSecond(coordinator_.now());
  std::uint32_t number = 0;
  for (const base::LayerId layer : topology.moe_layers) {
    nlohmann::json rows = nlohmann::json::array(), holders = nlohmann::json::array();
    for (std::uint32_t unit = 0; unit < topology.units_per_layer(); ++unit, ++number) {
      rows.push_back(Rounded(rates[number]));
      nlohmann::json ids = nlohmann::json::array();
      if (coordinator_.published() != nullptr) {
        for (const base::ShardId id :
             coordinator_.published()->Holders(layer, base::UnitId(unit))) {
          ids.push_back(id.value());
        }
      }
      holders.push_back(std::move(ids));
    }
    json["layers"].push_back(layer.value());
    json["rows_per_s"].push_back(std::move(rows));
    json["holders"].push_back(std::move(holders));
  }
  return json.dump();
}

std::string ClusterView::HistoryJson() const {
  nlohmann::json json = {{"interval_s", absl::ToDoubleSeconds(ClusterLoad::kSampleInterval)},
                         {"age_s", nlohmann::json::array()},
                         {"tokens_per_s", nlohmann::json::array()},
                         {"capacity_tokens_per_s", nlohmann::json::array()},
                         {"ttft_p50_ms", nlohmann::json::array()},
                         {"ttft_p95_ms", nlohmann::json::array()},
                         {"itl_p50_ms", nlohmann::json::array()},
                         {"itl_p95_ms", nlohmann::json::array()}};
  for (const ClusterLoad::Sample& sample : coordinator_.cluster_load().history()) {
    json["age_s"].push_back(absl::ToDoubleSeconds(coordinator_.now() - sample.at));
    json["tokens_per_s"].push_back(Rounded(sample.load.tokens_per_s));
    json["capacity_tokens_per_s"].push_back(Rounded(sample.load.capacity_tokens_per_s));
    json["ttft_p50_ms"].push_back(Rounded(sample.load.ttft_p50_ms));
    json["ttft_p95_ms"].push_back(Rounded(sample.load.ttft_p95_ms));
    json["itl_p50_ms"].push_back(Rounded(sample.load.itl_p50_ms));
    json["itl_p95_ms"].push_back(Rounded(sample.load.itl_p95_ms));
  }
  return json.dump();
}

void ClusterView::Refresh(monitoring::Registry& registry) {
  const std::shared_ptr<const monitoring::PriceList> prices =
      options_.prices == nullptr ? nullptr : options_.prices->Get();
  RefreshPlacementMetrics(coordinator_, Experts(), registry);
  RefreshNodeCostMetrics(CostNodes(coordinator_, {.prices = prices.get(), .own = options_.own}),
                         options_.budget_per_month, registry);
}

}  // namespace moesaic::placement
