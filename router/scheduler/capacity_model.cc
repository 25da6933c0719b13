#include "router/scheduler/capacity_model.h"

#include <algorithm>
#include <cmath>

namespace moesaic::router {
namespace {

constexpr double kTimeConstantSeconds = 120;
constexpr double kThroughputSeconds = 10;
/// Fewer steps and prompts than this say more of chance than of the load.
constexpr double kEnoughSteps = 50;
constexpr double kEnoughPrompts = 3;

}  // namespace

void CapacityModel::Fade(absl::Duration now) {
  const double age = std::max(0.0, absl::ToDoubleSeconds(now - faded_at_));
  faded_at_ = now;
  const double keep = std::exp(-age / kTimeConstantSeconds);
  fit_.Fade(keep);
  for (double* sum : {&steps_, &prompt_tokens_, &generated_tokens_, &prompts_, &rows_, &spread_}) {
    *sum *= keep;
  }
  recent_tokens_ *= std::exp(-age / kThroughputSeconds);
}

void CapacityModel::OnStep(const StepSample& step, absl::Duration now) {
  const double rows = step.prefill_rows + step.decode_rows;
  const StepTerms terms = {.prefill_rows = static_cast<double>(step.prefill_rows),
                           .decode_rows = static_cast<double>(step.decode_rows),
                           .experts = static_cast<double>(step.experts)};
  base::MutexLock lock(mutex_);
  Fade(now);
  fit_.Add(terms, {.total = step.seconds, .waiting = step.times.waiting()});
  steps_ += 1;
  rows_ += rows;
  if (limits_.experts > 0) {
    // When all were touched: between the last but one row and this.
    const double left = std::max(0.5, static_cast<double>(limits_.experts - step.experts));
    spread_ -= std::log(left / static_cast<double>(limits_.experts));
  }
  prompt_tokens_ += step.prefill_rows;
  generated_tokens_ += step.sampled_rows;
  // A generated position is one row; tokens chosen beyond those come of the ends of prompts.
  prompts_ += std::max(0, step.sampled_rows - step.decode_rows);
  recent_tokens_ += step.sampled_rows;
}

double CapacityModel::Throughput(absl::Duration now) const {
  base::MutexLock lock(mutex_);
  const double age = std::max(0.0, absl::ToDoubleSeconds(now - faded_at_));
  return recent_tokens_ * std::exp(-age / kThroughputSeconds) / kThroughputSeconds;
}

double CapacityModel::ExpertsOf(double rows) const {
  return static_cast<double>(limits_.experts) * (1 - std::exp(-spread_ / rows_ * rows));
}

Capacity CapacityModel::Predict() const {
  base::MutexLock lock(mutex_);
  if (steps_ < kEnoughSteps || prompts_ < kEnoughPrompts) return {};
  const double prompt = prompt_tokens_ / prompts_;
  const double generated = std::max(1.0, generated_tokens_ / prompts_);
  Capacity capacity;
  const double fit_in_kv = static_cast<double>(limits_.kv_tokens) / (prompt + generated / 2);
  capacity.limited_by_kv = fit_in_kv < limits_.max_num_seqs;
  capacity.sequences = std::min<double>(limits_.max_num_seqs, std::max(1.0, fit_in_kv));
  const double chunks = std::ceil(prompt / limits_.max_step_tokens);
  // A sequence takes `chunks` steps for its prompt, the last of which chooses its first token.
  double chosen = capacity.sequences * generated / (generated + chunks - 1);
  const double rows_per_token = (prompt + generated - 1) / generated;
  chosen = std::min(chosen, limits_.max_step_tokens / rows_per_token);
  const double prefill_rows = chosen * prompt / generated;
  const double decode_rows = chosen * (generated - 1) / generated;
  const StepCost step = fit_.Predict({.prefill_rows = prefill_rows,
                                      .decode_rows = decode_rows,
                                      .experts = ExpertsOf(prefill_rows + decode_rows)});
  capacity.step_seconds = step.total;
  if (capacity.step_seconds <= 0) return {};
  capacity.waiting_share = step.waiting / capacity.step_seconds;
  capacity.tokens_per_second = chosen / capacity.step_seconds;
  return capacity;
}

}  // namespace moesaic::router
