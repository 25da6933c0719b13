#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "base/mutex.h"
#include "router/scheduler/step_cost_fit.h"
#include "router/scheduler/step_sample.h"

namespace moesaic::router {

/// What decides how much a router can do beside the cost of its steps.
struct CapacityLimits {
  int max_num_seqs = 0;
  int max_step_tokens = 0;
  std::int64_t kv_tokens = 0;  ///< What the whole KV cache holds.
  std::int64_t experts = 0;    ///< Routed experts of all layers.
};

/// What a router could deliver with the present mix of requests.
struct Capacity {
  double tokens_per_second = 0;  ///< Generated; 0 = not known yet.
  double sequences = 0;          ///< Running then.
  double step_seconds = 0;       ///< Of a step then.
  double waiting_share = 0;      ///< Of that, waiting for the shards.
  bool limited_by_kv = false;    ///< Fewer sequences fit into the KV cache than may run.
};

/// Learns what steps cost and what requests are like, and says what steps full of such requests
/// would deliver.
///
/// What a step costs, and how much of it is waiting for shards, is fitted (StepCostFit) over the
/// steps of about the last two minutes. r rows touch E (1 - exp(-q r)) of E experts: q, which
/// skewed routing makes small, is learned as well. At saturation with prompts of P and answers of G
/// tokens, d tokens are chosen a step while d P / G prompt rows are computed; the sequences in
/// their prefill, one per d / G steps and chunk of a prompt, choose none. Thread-safe.
class CapacityModel {
 public:
  explicit CapacityModel(CapacityLimits limits) : limits_(limits) {}

  void OnStep(const StepSample& step, absl::Duration now);
  Capacity Predict() const;
  /// Tokens chosen per second, averaged over about ten seconds.
  double Throughput(absl::Duration now) const;

 private:
  void Fade(absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Distinct experts that `rows` touch.
  double ExpertsOf(double rows) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const CapacityLimits limits_;
  mutable base::Mutex mutex_;
  absl::Duration faded_at_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  StepCostFit fit_ ABSL_GUARDED_BY(mutex_);
  double steps_ ABSL_GUARDED_BY(mutex_) = 0;
  double prompt_tokens_ ABSL_GUARDED_BY(mutex_) = 0;
  double generated_tokens_ ABSL_GUARDED_BY(mutex_) = 0;
  double recent_tokens_ ABSL_GUARDED_BY(mutex_) = 0;
  double prompts_ ABSL_GUARDED_BY(mutex_) = 0;  // whose last row was computed
  double rows_ ABSL_GUARDED_BY(mutex_) = 0;
  double spread_ ABSL_GUARDED_BY(mutex_) = 0;  // -log(share of experts not touched), summed
};

}  // namespace moesaic::router
