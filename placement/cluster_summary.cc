#include "placement/cluster_summary.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "monitoring/cost/cost_model.h"

namespace moesaic::placement {
namespace {

/// Above this part of its capacity a cluster has little to give for a busy minute.
constexpr double kNearlyFull = 0.85;

/// 12,300.
std::string Grouped(std::uint64_t value) {
  const std::string digits = absl::StrCat(value);
  std::string grouped;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) grouped += ',';
    grouped += digits[i];
  }
  return grouped;
}

/// Two or three digits that count: 0.42, 8.3, 412, 12,300.
std::string Round(double value) {
  if (value < 1) return absl::StrFormat("%.2f", value);
  if (value < 10) return absl::StrFormat("%.1f", value);
  const double step = std::pow(10, std::max(0.0, std::floor(std::log10(value)) - 2));
  return Grouped(static_cast<std::uint64_t>(std::round(value / step) * step));
}

std::string Count(std::size_t count, absl::string_view what) {
  return absl::StrCat(Grouped(count), " ", what, count == 1 ? "" : "s");
}

std::vector<std::string> ShardsIn(const v1::DescribeClusterResponse& cluster,
                                  absl::string_view state) {
  std::vector<std::string> names;
  for (const v1::ShardStatus& shard : cluster.shards()) {
    if (shard.state() == state) names.push_back(shard.placed().shard());
  }
  return names;
}

/// "shard-1 is", "shard-1 and shard-4 are", "5 shards are".
std::string NamesAre(const std::vector<std::string>& names) {
  if (names.size() == 1) return names[0] + " is";
  if (names.size() == 2) return absl::StrCat(names[0], " and ", names[1], " are");
  return absl::StrCat(names.size(), " shards are");
}

struct Verdict {
  v1::Health health;
  std::string words;
  std::string advice;
};

Verdict Unwell(v1::Health health, std::string words, std::string advice) {
  return {health, std::move(words), std::move(advice)};
}

/// The worst that is wrong.
Verdict Judge(const v1::DescribeClusterResponse& cluster, const v1::ClusterSummary& summary) {
  if (cluster.units_total() == 0) {
    return Unwell(v1::HEALTH_DOWN, "No shard has registered yet", "Start shards.");
  }
  const std::vector<std::string> suspects = ShardsIn(cluster, "SUSPECT");
  const std::vector<std::string> loading = ShardsIn(cluster, "LOADING");
  const std::vector<std::string> expired = ShardsIn(cluster, "EXPIRED");
  if (cluster.units_uncovered() > 0) {
    std::string words = absl::StrCat(Count(cluster.units_uncovered(), "unit"), " of ",
                                     Grouped(cluster.units_total()), " without a live replica");
    if (!suspects.empty()) absl::StrAppend(&words, ": ", NamesAre(suspects), " lost from sight");
    return Unwell(v1::HEALTH_DOWN, std::move(words),
                  cluster.moves_in_flight() > 0 || !loading.empty()
                      ? "Requests wait until other shards have loaded them; that is under way."
                      : "Start a shard, or give the shards more memory.");
  }
  if (cluster.routers().empty()) {
    return Unwell(v1::HEALTH_DOWN, "No router is connected", "Start a router.");
  }
  if (!suspects.empty()) {
    return Unwell(v1::HEALTH_IMPAIRED,
                  absl::StrCat("Serving, but ", NamesAre(suspects), " lost from sight"),
                  "Other shards take over when the lease ends; look at its log.");
  }
  for (const v1::ShardStatus& shard : cluster.shards()) {
    if (shard.problem().empty() || shard.state() == "EXPIRED") continue;
    return Unwell(v1::HEALTH_IMPAIRED,
                  absl::StrCat("Serving, but ", shard.placed().shard(), ": ", shard.problem()), "");
  }
  if (cluster.units_below_replicas() > 0) {
    return Unwell(v1::HEALTH_IMPAIRED,
                  absl::StrCat("Serving, but ", Count(cluster.units_below_replicas(), "unit"),
                               " below ", Count(cluster.replicas_wanted(), "replica")),
                  loading.empty() ? "Add a shard: there is no room for more copies."
                                  : absl::StrCat(NamesAre(loading), " loading; wait for it."));
  }
  if (summary.waiting() > 0 && summary.capacity_tokens_per_s() > 0 &&
      summary.tokens_per_s() > kNearlyFull * summary.capacity_tokens_per_s()) {
    return Unwell(v1::HEALTH_IMPAIRED, "Serving, but nearly full: requests wait",
                  absl::StrCat("Add capacity", summary.bottleneck().empty()
                                                   ? "."
                                                   : absl::StrCat("; the bottleneck is ",
                                                                  summary.bottleneck(), ".")));
  }
  Verdict well{v1::HEALTH_OK, "Healthy", ""};
  if (!loading.empty()) well.words = absl::StrCat("Healthy; ", NamesAre(loading), " loading");
  if (summary.nodes_without_price() > 0 && !summary.currency().empty()) {
    well.advice = absl::StrCat("Add the missing node types to the price list: ",
                               Round(summary.nodes_without_price()), " nodes have no price.");
  } else if (!expired.empty()) {
    well.advice = absl::StrCat(NamesAre(expired), " gone; start it again if that was not meant.");
  }
  return well;
}

std::string CapacityWords(const v1::ClusterSummary& summary) {
  const double rate = summary.tokens_per_s(), capacity = summary.capacity_tokens_per_s();
  std::string words = rate > 0 ? absl::StrCat(Round(rate), " tokens/s") : "idle";
  if (capacity <= 0) return words;
  const double more = std::max(0.0, capacity - rate);
  absl::StrAppend(&words, "; can take about ", Round(more), " tokens/s more");
  if (!summary.bottleneck().empty()) {
    absl::StrAppend(&words, ", then ", summary.bottleneck(), " is the limit");
  }
  return words;
}

std::string CostWords(const v1::ClusterSummary& summary) {
  if (summary.currency().empty()) return "";
  if (summary.cost_per_hour() <= 0) return " Its price is unknown.";
  std::string words = absl::StrFormat(" Costs %s%.2f %s an hour",
                                      summary.nodes_without_price() > 0 ? "at least " : "",
                                      summary.cost_per_hour(), summary.currency());
  if (summary.cost_per_million_tokens() > 0) {
    absl::StrAppendFormat(&words, ", %.2f a million tokens", summary.cost_per_million_tokens());
  }
  if (summary.budget_per_month() > 0) {
    const double month = *monitoring::MonthProjection(summary.cost_per_hour());
    absl::StrAppendFormat(&words, "; %.0f %% of the month's budget",
                          100 * month / summary.budget_per_month());
  }
  return absl::StrCat(words, ".");
}

/// Shares the cost of all nodes over the window out in proportion to what was used.
void AddTenants(const SummaryInputs& inputs, v1::ClusterSummary& summary) {
  double used = 0;
  std::uint64_t all_tokens = 0;
  for (const auto& [name, load] : inputs.tenants) used += load.cost;
  const double window_cost =
      inputs.costs.per_hour * absl::FDivDuration(inputs.tenant_window, absl::Hours(1));
  for (const auto& [name, load] : inputs.tenants) {
    v1::TenantStatus& tenant = *summary.add_tenants();
    tenant.set_tenant(name);
    tenant.set_requests(load.requests);
    tenant.set_prompt_tokens(load.prompt_tokens);
    tenant.set_cached_prompt_tokens(load.cached_prompt_tokens);
    tenant.set_generated_tokens(load.generated_tokens);
    tenant.set_unpriced(load.unpriced);
    tenant.set_used_cost(load.cost);
    const std::uint64_t tokens = load.prompt_tokens + load.generated_tokens;
    all_tokens += tokens;
    // Requests that began before the window may have used more than it cost.
    if (used > 0) tenant.set_cost(std::max(window_cost, used) * load.cost / used);
    if (tokens > 0) {
      tenant.set_cost_per_million_tokens(tenant.cost() / static_cast<double>(tokens) * 1e6);
    }
  }
  std::sort(summary.mutable_tenants()->begin(), summary.mutable_tenants()->end(),
            [](const v1::TenantStatus& a, const v1::TenantStatus& b) {
              return std::tuple(-a.cost(), -static_cast<double>(a.generated_tokens()), a.tenant()) <
                     std::tuple(-b.cost(), -static_cast<double>(b.generated_tokens()), b.tenant());
            });
  if (all_tokens > 0) {
    summary.set_cost_per_million_tokens(window_cost / static_cast<double>(all_tokens) * 1e6);
  }
  summary.set_tenants_window_s(absl::ToDoubleSeconds(inputs.tenant_window));
}

}  // namespace

v1::ClusterSummary Summarise(const SummaryInputs& inputs) {
  v1::ClusterSummary summary;
  summary.set_tokens_per_s(inputs.load.tokens_per_s);
  summary.set_prompt_tokens_per_s(inputs.load.prompt_tokens_per_s);
  summary.set_capacity_tokens_per_s(inputs.load.capacity_tokens_per_s);
  summary.set_bottleneck(inputs.load.bottleneck);
  summary.set_running(inputs.load.running);
  summary.set_waiting(inputs.load.waiting);
  summary.set_ttft_p50_ms(inputs.load.ttft_p50_ms);
  summary.set_ttft_p95_ms(inputs.load.ttft_p95_ms);
  summary.set_itl_p50_ms(inputs.load.itl_p50_ms);
  summary.set_itl_p95_ms(inputs.load.itl_p95_ms);
  summary.set_currency(inputs.currency);
  summary.set_cost_per_hour(inputs.costs.per_hour);
  summary.set_cost_on_demand_per_hour(inputs.costs.on_demand_per_hour);
  summary.set_nodes(inputs.costs.nodes);
  summary.set_nodes_without_price(inputs.costs.nodes_without_price);
  summary.set_budget_per_month(inputs.budget_per_month);
  summary.set_imbalance(inputs.imbalance);
  AddTenants(inputs, summary);
  const Verdict verdict = Judge(inputs.cluster, summary);
  summary.set_health(verdict.health);
  summary.set_advice(verdict.advice);
  summary.set_sentence(absl::StrCat(
      verdict.words, ". ",
      [&] {
        std::string words = CapacityWords(summary);
        words[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(words[0])));
        return words;
      }(),
      ".", CostWords(summary)));
  return summary;
}

}  // namespace moesaic::placement
