#include "monitoring/cost/cost_model.h"

#include <algorithm>
#include <numeric>

namespace moesaic::monitoring {
namespace {

constexpr double kMillion = 1e6;
constexpr double kJoulesPerKwh = 3.6e6;

Money PerMillion(double cost, std::int64_t tokens) {
  if (tokens <= 0) return std::nullopt;
  return cost / static_cast<double>(tokens) * kMillion;
}

}  // namespace

std::optional<double> InputShare(const TokenWork& work) {
  const double seconds = work.prefill_seconds + work.decode_seconds;
  if (seconds > 0) return work.prefill_seconds / seconds;
  const auto input = static_cast<double>(
      std::max<std::int64_t>(0, work.prompt_tokens - work.cached_prompt_tokens));
  const double output = kOutputToInputCost * static_cast<double>(work.generated_tokens);
  if (input + output <= 0) return std::nullopt;
  return input / (input + output);
}

TokenPrices PricePerMillion(Money cost, const TokenWork& work) {
  const std::optional<double> share = InputShare(work);
  if (!cost || !share) return {};
  return {.input = PerMillion(*cost * *share, work.prompt_tokens - work.cached_prompt_tokens),
          .output = PerMillion(*cost * (1 - *share), work.generated_tokens),
          .blended = PerMillion(*cost, work.prompt_tokens + work.generated_tokens)};
}

Money GpuPrice(Money node_per_hour, int gpus) {
  if (!node_per_hour || gpus <= 0) return std::nullopt;
  return *node_per_hour / gpus;
}

std::optional<double> IdleShare(Money cost, Money used) {
  if (!cost || !used || *cost <= 0) return std::nullopt;
  return std::clamp(1 - *used / *cost, 0.0, 1.0);
}

std::vector<double> SplitByDirectCost(double amount, absl::Span<const double> direct) {
  const double total = std::accumulate(direct.begin(), direct.end(), 0.0);
  std::vector<double> parts(direct.size(), 0.0);
  if (total <= 0) return parts;
  for (std::size_t i = 0; i < parts.size(); ++i) parts[i] = amount * (direct[i] / total);
  return parts;
}

Money ImbalanceTax(Money cost, absl::Span<const double> loads) {
  if (!cost || loads.empty()) return std::nullopt;
  const double max = *std::max_element(loads.begin(), loads.end());
  if (max <= 0) return 0.0;
  const double mean =
      std::accumulate(loads.begin(), loads.end(), 0.0) / static_cast<double>(loads.size());
  return *cost * (1 - mean / max);
}

Money ExpertCost(Money shard_cost, double expert_tokens, double shard_tokens) {
  if (!shard_cost || shard_tokens <= 0) return std::nullopt;
  return *shard_cost * expert_tokens / shard_tokens;
}

Money MonthProjection(Money per_hour) {
  if (!per_hour) return std::nullopt;
  return *per_hour * kHoursPerMonth;
}

Money HeadroomCost(Money cost, double load, double capacity) {
  if (!cost || capacity <= 0) return std::nullopt;
  return *cost * std::max(0.0, 1 - load / capacity);
}

Money SpotSaving(Money paid, Money on_demand) {
  if (!paid || !on_demand) return std::nullopt;
  return *on_demand - *paid;
}

Money EnergyCost(double joules, Money per_kwh) {
  if (!per_kwh) return std::nullopt;
  return joules / kJoulesPerKwh * *per_kwh;
}

std::optional<double> ProfitMargin(double revenue, Money cost) {
  if (!cost || *cost <= 0) return std::nullopt;
  return (revenue - *cost) / *cost;
}

}  // namespace moesaic::monitoring
