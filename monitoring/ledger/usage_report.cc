#include "monitoring/ledger/usage_report.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

namespace moesaic::monitoring {
namespace {

double DirectCost(const UsageSum& sum) { return sum.prefill_cost + sum.decode_cost; }

void Add(const UsageSum& from, UsageSum& to) {
  to.requests += from.requests;
  to.failed += from.failed;
  to.prompt_tokens += from.prompt_tokens;
  to.cached_prompt_tokens += from.cached_prompt_tokens;
  to.generated_tokens += from.generated_tokens;
  to.prefill_machine_seconds += from.prefill_machine_seconds;
  to.decode_machine_seconds += from.decode_machine_seconds;
  to.unpriced_seconds += from.unpriced_seconds;
  to.prefill_cost += from.prefill_cost;
  to.decode_cost += from.decode_cost;
}

/// One day in one currency.
struct Day {
  double node_cost = 0;
  std::vector<const UsageSum*> usage;
};

class Builder {
 public:
  explicit Builder(const std::set<UsageKey>& keys) : keys_(keys) {}

  void AddDay(const std::string& name, const Day& day, Reconciliation& total) {
    std::vector<double> direct;
    for (const UsageSum* sum : day.usage) direct.push_back(DirectCost(*sum));
    double used = 0;
    for (const double cost : direct) used += cost;
    const double rest = std::max(0.0, day.node_cost - used);
    if (used <= 0 && rest > 0) total.unallocated[name] += rest;
    const std::vector<double> idle = SplitByDirectCost(rest, direct);
    for (std::size_t i = 0; i < direct.size(); ++i) {
      UsageLine& line = LineOf(*day.usage[i]);
      Add(*day.usage[i], line.sum);
      line.direct_cost += direct[i];
      line.idle_cost += idle[i];
      total.direct_cost += direct[i];
    }
  }

  std::vector<UsageLine> Finish() {
    std::vector<UsageLine> lines;
    for (auto& [key, line] : lines_) {
      const UsageSum& sum = line.sum;
      line.unpriced = sum.unpriced_seconds > 0 || sum.currency.empty();
      const TokenWork work = {.prompt_tokens = sum.prompt_tokens,
                              .cached_prompt_tokens = sum.cached_prompt_tokens,
                              .generated_tokens = sum.generated_tokens,
                              .prefill_seconds = sum.prefill_machine_seconds,
                              .decode_seconds = sum.decode_machine_seconds};
      line.per_million = PricePerMillion(line.unpriced ? Money() : Money(line.full_cost()), work);
      lines.push_back(std::move(line));
    }
    return lines;
  }

 private:
  UsageLine& LineOf(const UsageSum& sum) {
    const auto keep = [this](UsageKey key, const std::string& text) {
      return keys_.contains(key) ? text : std::string();
    };
    UsageSum key;
    key.day = keep(UsageKey::kDay, sum.day);
    key.tenant = keep(UsageKey::kTenant, sum.tenant);
    key.model = keep(UsageKey::kModel, sum.model);
    key.currency = sum.currency;
    UsageLine& line = lines_[{key.day, key.tenant, key.model, key.currency}];
    if (line.sum.requests == 0) line.sum = std::move(key);
    return line;
  }

  const std::set<UsageKey>& keys_;
  std::map<std::tuple<std::string, std::string, std::string, std::string>, UsageLine> lines_;
};

}  // namespace

UsageReport MakeUsageReport(absl::Span<const UsageSum> usage, absl::Span<const NodeTimeSum> nodes,
                            const std::set<UsageKey>& keys) {
  std::map<std::string, Reconciliation> totals;
  std::map<std::pair<std::string, std::string>, Day> days;  // by day and currency
  for (const NodeTimeSum& node : nodes) {
    Reconciliation& total = totals[node.currency];
    total.node_cost += node.cost;
    total.idle_cost += node.cost - node.busy_cost;
    total.unpriced_node_seconds += node.unpriced_seconds;
    days[{node.day, node.currency}].node_cost += node.cost;
  }
  for (const UsageSum& sum : usage) days[{sum.day, sum.currency}].usage.push_back(&sum);
  Builder builder(keys);
  for (const auto& [key, day] : days) builder.AddDay(key.first, day, totals[key.second]);
  UsageReport report;
  report.lines = builder.Finish();
  for (auto& [currency, total] : totals) {
    total.currency = currency;
    report.totals.push_back(std::move(total));
  }
  return report;
}

}  // namespace moesaic::monitoring
