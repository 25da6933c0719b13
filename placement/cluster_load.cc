#include "placement/cluster_load.h"

#include <algorithm>

namespace moesaic::placement {
namespace {

/// Rates are means over this time: long enough to be calm with reports every two seconds.
constexpr absl::Duration kRateWindow = absl::Seconds(10);
/// A router that has not reported for so long does not count as one that computes.
constexpr absl::Duration kSilent = absl::Seconds(10);
constexpr absl::Duration kSliceLength = absl::Seconds(10);
constexpr std::size_t kMaxSamples = 450;  // a quarter of an hour

void AddTo(const TenantLoad& load, TenantLoad& sum) {
  sum.tenant = load.tenant;
  sum.requests += load.requests;
  sum.prompt_tokens += load.prompt_tokens;
  sum.cached_prompt_tokens += load.cached_prompt_tokens;
  sum.generated_tokens += load.generated_tokens;
  sum.cost += load.cost;
  sum.unpriced |= load.unpriced;
}

/// A value of the last report, or the one before when nothing was measured in the last.
void Keep(double value, double& last) {
  if (value > 0) last = value;
}

}  // namespace

void ClusterLoad::Add(absl::Duration now, SessionId router, const RouterLoad& load) {
  Router& known = routers_[router];
  RouterLoad last = load;
  if (now - known.ttft_heard < kRateWindow) {
    // Between two answers there is nothing to measure: the figures of a moment ago still hold.
    last.ttft_p50_ms = known.last.ttft_p50_ms;
    last.ttft_p95_ms = known.last.ttft_p95_ms;
    last.itl_p50_ms = known.last.itl_p50_ms;
    last.itl_p95_ms = known.last.itl_p95_ms;
    Keep(load.ttft_p50_ms, last.ttft_p50_ms);
    Keep(load.ttft_p95_ms, last.ttft_p95_ms);
    Keep(load.itl_p50_ms, last.itl_p50_ms);
    Keep(load.itl_p95_ms, last.itl_p95_ms);
  }
  if (load.ttft_p50_ms > 0 || load.itl_p50_ms > 0) known.ttft_heard = now;
  known.last = std::move(last);
  known.last.tenants.clear();
  known.heard = now;
  known.windows.push_back({now, load.generated_tokens, load.prompt_tokens});
  while (now - known.windows.front().at >= kRateWindow) known.windows.pop_front();
  if (slices_.empty() || now - slices_.back().begun >= kSliceLength) {
    slices_.push_back({.begun = now, .tenants = {}});
  }
  for (const TenantLoad& tenant : load.tenants) {
    AddTo(tenant, slices_.back().tenants[tenant.tenant]);
  }
  while (now - slices_.front().begun >= kTenantWindow) slices_.pop_front();
}

void ClusterLoad::Tick(absl::Duration now) {
  if (!history_.empty() && now - history_.back().at < kSampleInterval) return;
  history_.push_back({now, At(now)});
  if (history_.size() > kMaxSamples) history_.pop_front();
}

ClusterLoad::Now ClusterLoad::At(absl::Duration now) const {
  Now sum;
  double busiest = -1;
  const absl::Duration span = std::clamp(now - started_, absl::Seconds(2), kRateWindow);
  for (const auto& [session, router] : routers_) {
    if (now - router.heard >= kSilent) continue;
    for (const Window& window : router.windows) {
      if (now - window.at >= kRateWindow) continue;
      sum.tokens_per_s +=
          static_cast<double>(window.generated_tokens) / absl::ToDoubleSeconds(span);
      sum.prompt_tokens_per_s +=
          static_cast<double>(window.prompt_tokens) / absl::ToDoubleSeconds(span);
    }
    const RouterLoad& last = router.last;
    sum.capacity_tokens_per_s += last.capacity_tokens_per_s;
    sum.running += last.running;
    sum.waiting += last.waiting;
    if (last.capacity_tokens_per_s > busiest && !last.bottleneck.empty()) {
      busiest = last.capacity_tokens_per_s;
      sum.bottleneck = last.bottleneck;
    }
    if (now - router.ttft_heard >= kRateWindow) continue;
    sum.ttft_p50_ms = std::max(sum.ttft_p50_ms, last.ttft_p50_ms);
    sum.ttft_p95_ms = std::max(sum.ttft_p95_ms, last.ttft_p95_ms);
    sum.itl_p50_ms = std::max(sum.itl_p50_ms, last.itl_p50_ms);
    sum.itl_p95_ms = std::max(sum.itl_p95_ms, last.itl_p95_ms);
  }
  return sum;
}

std::map<std::string, TenantLoad> ClusterLoad::Tenants(absl::Duration now) const {
  std::map<std::string, TenantLoad> sums;
  for (const Slice& slice : slices_) {
    if (now - slice.begun >= kTenantWindow) continue;
    for (const auto& [name, load] : slice.tenants) AddTo(load, sums[name]);
  }
  return sums;
}

absl::Duration ClusterLoad::tenant_window(absl::Duration now) const {
  return std::min(now - started_, kTenantWindow);
}

}  // namespace moesaic::placement
