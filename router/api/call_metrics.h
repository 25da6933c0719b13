#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "monitoring/registry.h"
#include "monitoring/usage_record.h"
#include "placement/view/router_load.h"
#include "router/admission/tenant_table.h"
#include "router/api/latency_window.h"

namespace moesaic::router {

/// What generation calls record: series of the whole router, series by tenant, and what they were
/// like since the coordinator was last told. Thread-safe.
class CallMetrics {
 public:
  explicit CallMetrics(monitoring::Registry& registry);
  ~CallMetrics();

  monitoring::Gauge in_flight;
  monitoring::Histogram request_duration;
  monitoring::Histogram queue_seconds;
  monitoring::Histogram prefill_seconds;
  monitoring::Histogram decode_seconds;

  void FirstToken(double seconds);
  /// `tokens` came, `each_seconds` after one another.
  void NextTokens(double each_seconds, int tokens);
  /// A request that was not computed, and why.
  void Refused(const absl::Status& why);
  /// A request that found too many being parsed.
  void Overloaded();
  /// A generation that was refused before it became a call, whose end would have told its outcome.
  void RefusedBeforeCall();
  /// Tokens, outcome, machine time and cost of a call that has ended.
  void Ended(const monitoring::UsageRecord& usage);

  /// Tokens delivered and requests ended since the last call, by tenant, and how fast they were.
  void TakeLoad(placement::RouterLoad& load);

 private:
  struct TenantSeries;
  void CountOutcome(monitoring::RequestOutcome outcome);
  TenantSeries& SeriesOf(const std::string& tenant) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  monitoring::Registry& registry_;
  monitoring::Histogram time_to_first_token_;
  monitoring::Histogram inter_token_latency_;
  monitoring::Counter unpriced_seconds_;
  LatencyWindow first_token_window_;
  LatencyWindow next_token_window_;
  TenantTable tenants_;

  base::Mutex mutex_;
  std::map<std::string, std::unique_ptr<TenantSeries>, std::less<>> series_
      ABSL_GUARDED_BY(mutex_);  // by label
};

}  // namespace moesaic::router
