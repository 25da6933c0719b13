#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"

namespace moesaic::monitoring {

// Pure functions from measured work and known prices to costs (docs/cost.md says where each formula
// comes from). Money is in the currency of the price list. What is unknown is nullopt, and whatever
// is computed from it is unknown as well: never 0.
using Money = std::optional<double>;

/// A month as price lists count it: 365 · 24 / 12 hours.
inline constexpr double kHoursPerMonth = 730;
/// What a generated token costs, in prompt tokens, where nobody measured the seconds of the two.
inline constexpr double kOutputToInputCost = 2.5;

/// Work of requests, and the time their machines spent on its two phases. Plain value.
struct TokenWork {
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_prompt_tokens = 0;  ///< Of them; not computed.
  std::int64_t generated_tokens = 0;
  double prefill_seconds = 0;
  double decode_seconds = 0;
};

/// Share of a cost that the prompts caused: prefill / (prefill + decode) seconds. Without seconds,
/// by tokens, a generated one counting kOutputToInputCost. nullopt without either.
std::optional<double> InputShare(const TokenWork& work);

/// Cost of a million tokens. Plain value.
struct TokenPrices {
  Money input;    ///< Of prompt tokens that were computed.
  Money output;   ///< Of generated tokens.
  Money blended;  ///< Of prompt (also cached) and generated tokens together.
};
/// input = C · share / (prompt - cached) · 1e6, output = C · (1 - share) / generated · 1e6,
/// blended = C / (prompt + generated) · 1e6; nullopt where there were no such tokens.
TokenPrices PricePerMillion(Money cost, const TokenWork& work);

/// GPU price per hour: node price ÷ GPUs. nullopt for a node without GPUs.
Money GpuPrice(Money node_per_hour, int gpus);
/// Share of a cost that nobody used, 0 to 1. nullopt when the cost is unknown or 0.
std::optional<double> IdleShare(Money cost, Money used);
/// `amount` (idle time, or what all share, like router and coordinator) divided in proportion to
/// direct costs. When nobody has any, nobody gets any.
std::vector<double> SplitByDirectCost(double amount, absl::Span<const double> direct);

/// What imbalance costs: C · (1 - mean / max) of the loads that run side by side.
Money ImbalanceTax(Money cost, absl::Span<const double> loads);
/// Cost of one expert (or unit): its shard's cost × its share of the tokens the shard computed.
Money ExpertCost(Money shard_cost, double expert_tokens, double shard_tokens);
/// Cost of a month at this price per hour.
Money MonthProjection(Money per_hour);
/// What is paid for room that nobody uses: C · (1 - load / capacity), at least 0.
Money HeadroomCost(Money cost, double load, double capacity);
/// What spot prices save: the same nodes on demand, less what is paid.
Money SpotSaving(Money paid, Money on_demand);
/// Cost of electrical energy.
Money EnergyCost(double joules, Money per_kwh);
/// (revenue - cost) / cost, as DeepSeek states it. nullopt when the cost is unknown or 0.
std::optional<double> ProfitMargin(double revenue, Money cost);

}  // namespace moesaic::monitoring
