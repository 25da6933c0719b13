#include "router/api/call_metrics.h"

#include <string_view>
#include <utility>

#include "http/error_map.h"

namespace moesaic::router {
namespace {

namespace metrics = monitoring::metrics;

std::string_view ReasonOf(const absl::Status& why) {
  switch (why.code()) {
    case absl::StatusCode::kResourceExhausted:
      return "queue_full";
    case absl::StatusCode::kUnavailable:
      return "draining";
    default:
      return http::ErrorCodeOf(why) == "context_length_exceeded" ? "too_long" : "invalid";
  }
}

}  // namespace

/// Of one label.
struct CallMetrics::TenantSeries {
  TenantSeries(monitoring::Registry& registry, std::string_view label)
      : prompt(registry.Get(metrics::kPromptTokensTotal, {label})),
        cached(registry.Get(metrics::kCachedPromptTokensTotal, {label})),
        generated(registry.Get(metrics::kGeneratedTokensTotal, {label})),
        prefill_seconds(registry.Get(metrics::kTenantWorkSecondsTotal, {label, "prefill"})),
        decode_seconds(registry.Get(metrics::kTenantWorkSecondsTotal, {label, "decode"})) {
    window.tenant = std::string(label);
  }

  monitoring::Counter prompt;
  monitoring::Counter cached;
  monitoring::Counter generated;
  monitoring::Counter prefill_seconds;
  monitoring::Counter decode_seconds;
  placement::TenantLoad window;
};

CallMetrics::CallMetrics(monitoring::Registry& registry)
    : in_flight(registry.Get(metrics::kRequestsInFlight)),
      request_duration(registry.Get(metrics::kRequestDurationSeconds)),
      queue_seconds(registry.Get(metrics::kRequestPhaseSeconds, {"queue"})),
      prefill_seconds(registry.Get(metrics::kRequestPhaseSeconds, {"prefill"})),
      decode_seconds(registry.Get(metrics::kRequestPhaseSeconds, {"decode"})),
      registry_(registry),
      time_to_first_token_(registry.Get(metrics::kTimeToFirstTokenSeconds)),
      inter_token_latency_(registry.Get(metrics::kInterTokenLatencySeconds)),
      unpriced_seconds_(registry.Get(metrics::kUnpricedWorkSecondsTotal)) {
  base::MutexLock lock(mutex_);
  SeriesOf(std::string(kDefaultTenant));  // dashboards find it before the first request
}

CallMetrics::~CallMetrics() = default;

void CallMetrics::FirstToken(double seconds) {
  time_to_first_token_.Observe(seconds);
  first_token_window_.Add(seconds);
}

void CallMetrics::NextTokens(double each_seconds, int tokens) {
  for (int i = 0; i < tokens; ++i) inter_token_latency_.Observe(each_seconds);
  next_token_window_.Add(each_seconds, static_cast<std::uint32_t>(tokens));
}

void CallMetrics::Refused(const absl::Status& why) {
  registry_.Get(metrics::kRejectionsTotal, {ReasonOf(why)}).Increment();
}

void CallMetrics::Overloaded() {
  registry_.Get(metrics::kRejectionsTotal, {"overloaded"}).Increment();
}

void CallMetrics::RefusedBeforeCall() { CountOutcome(monitoring::RequestOutcome::kRefused); }

void CallMetrics::CountOutcome(monitoring::RequestOutcome outcome) {
  registry_.Get(metrics::kRequestOutcomesTotal, {monitoring::RequestOutcomeName(outcome)})
      .Increment();
}

CallMetrics::TenantSeries& CallMetrics::SeriesOf(const std::string& tenant) {
  const std::string_view label = tenants_.LabelOf(tenant);
  const auto found = series_.find(label);
  if (found != series_.end()) return *found->second;
  return *series_.emplace(label, std::make_unique<TenantSeries>(registry_, label)).first->second;
}

void CallMetrics::Ended(const monitoring::UsageRecord& usage) {
  CountOutcome(usage.outcome);
  const monitoring::WorkCost& prefill = usage.prefill;
  const monitoring::WorkCost& decode = usage.decode;
  const double cost = prefill.cost + decode.cost;
  const double unpriced = prefill.unpriced_seconds + decode.unpriced_seconds;
  if (cost > 0) {  // without prices there are no such series: unknown is not 0
    registry_.Get(metrics::kCostUsdTotal, {"prefill"}).Increment(prefill.cost);
    registry_.Get(metrics::kCostUsdTotal, {"decode"}).Increment(decode.cost);
    registry_.Get(metrics::kTenantCostUsdTotal, {tenants_.LabelOf(usage.tenant)}).Increment(cost);
  }
  unpriced_seconds_.Increment(unpriced);

  base::MutexLock lock(mutex_);
  TenantSeries& series = SeriesOf(usage.tenant);
  series.prompt.Increment(static_cast<double>(usage.prompt_tokens));
  series.cached.Increment(static_cast<double>(usage.cached_prompt_tokens));
  series.generated.Increment(static_cast<double>(usage.generated_tokens));
  series.prefill_seconds.Increment(prefill.router_seconds + prefill.shard_seconds);
  series.decode_seconds.Increment(decode.router_seconds + decode.shard_seconds);
  ++series.window.requests;
  series.window.prompt_tokens += static_cast<std::uint64_t>(usage.prompt_tokens);
  series.window.cached_prompt_tokens += static_cast<std::uint64_t>(usage.cached_prompt_tokens);
  series.window.generated_tokens += static_cast<std::uint64_t>(usage.generated_tokens);
  series.window.cost += cost;
  series.window.unpriced = series.window.unpriced || unpriced > 0;
}

void CallMetrics::TakeLoad(placement::RouterLoad& load) {
  const LatencyWindow::Percentiles first = first_token_window_.Take();
  const LatencyWindow::Percentiles next = next_token_window_.Take();
  load.ttft_p50_ms = first.p50_ms;
  load.ttft_p95_ms = first.p95_ms;
  load.itl_p50_ms = next.p50_ms;
  load.itl_p95_ms = next.p95_ms;
  base::MutexLock lock(mutex_);
  for (auto& [label, series] : series_) {
    if (series->window.requests == 0) continue;
    load.tenants.push_back(std::exchange(series->window, {.tenant = label}));
  }
}

}  // namespace moesaic::router
