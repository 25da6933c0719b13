#include "router/scheduler/capacity_model.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace moesaic::router {
namespace {

constexpr double kTimeConstantSeconds = 120;
constexpr double kThroughputSeconds = 10;
/// Fewer steps and prompts than this say more of chance than of the load.
constexpr double kEnoughSteps = 50;
constexpr double kEnoughPrompts = 3;
/// In squared rows a step: what one step of a few rows weighs.
constexpr double kRidge = 1;

using Terms = std::array<double, 3>;

/// Coefficients of the terms in `used`, by elimination; the others are 0.
Terms Solve(std::array<Terms, 3> a, Terms y, const std::array<bool, 3>& used) {
  for (int i = 0; i < 3; ++i) {
    a[i][i] += i == 0 ? 0 : kRidge;
    if (used[i]) continue;
    for (int k = 0; k < 3; ++k) a[i][k] = a[k][i] = 0;
    a[i][i] = 1;
    y[i] = 0;
  }
  for (int i = 0; i < 3; ++i) {  // symmetric and positive definite: no pivoting
    if (a[i][i] <= 0) return {};
    for (int k = i + 1; k < 3; ++k) {
      const double factor = a[k][i] / a[i][i];
      for (int j = i; j < 3; ++j) a[k][j] -= factor * a[i][j];
      y[k] -= factor * y[i];
    }
  }
  Terms x{};
  for (int i = 2; i >= 0; --i) {
    double rest = y[i];
    for (int j = i + 1; j < 3; ++j) rest -= a[i][j] * x[j];
    x[i] = rest / a[i][i];
  }
  return x;
}

/// The same, but no more of anything makes a step shorter.
Terms SolveNonNegative(const std::array<Terms, 3>& a, const Terms& y) {
  std::array<bool, 3> used = {true, true, true};
  Terms x = Solve(a, y, used);
  for (int round = 0; round < 2; ++round) {
    const int worst = x[1] < x[2] ? 1 : 2;
    if (x[worst] >= 0) break;
    used[worst] = false;
    x = Solve(a, y, used);
  }
  x[0] = std::max(0.0, x[0]);
  return x;
}

double At(const Terms& x, double rows, double chosen) { return x[0] + x[1] * rows + x[2] * chosen; }

}  // namespace

void CapacityModel::Fade(absl::Duration now) {
  const double age = absl::ToDoubleSeconds(now - faded_at_);
  faded_at_ = now;
  const double keep = std::exp(-std::max(0.0, age) / kTimeConstantSeconds);
  for (auto& row : fit_.products) {
    for (double& value : row) value *= keep;
  }
  for (double& value : fit_.busy) value *= keep;
  for (double& value : fit_.waiting) value *= keep;
  for (double* sum : {&steps_, &prompt_tokens_, &generated_tokens_, &prompts_}) *sum *= keep;
  recent_tokens_ *= std::exp(-std::max(0.0, age) / kThroughputSeconds);
}

void CapacityModel::OnStep(const StepSample& step, absl::Duration now) {
  const double rows = step.prefill_rows + step.decode_rows;
  const Terms terms = {1, rows, static_cast<double>(step.sampled_rows)};
  const double waiting = step.times[StepPhase::kDispatch];
  const double busy = std::max(0.0, step.seconds - waiting);
  base::MutexLock lock(mutex_);
  Fade(now);
  for (int i = 0; i < kTerms; ++i) {
    for (int k = 0; k < kTerms; ++k) fit_.products[i][k] += terms[i] * terms[k];
    fit_.busy[i] += terms[i] * busy;
    fit_.waiting[i] += terms[i] * waiting;
  }
  steps_ += 1;
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
  const double rows_per_token = prompt / generated + (generated - 1) / generated;
  chosen = std::min(chosen, limits_.max_step_tokens / rows_per_token);
  const double rows = chosen * rows_per_token;
  const double busy = At(SolveNonNegative(fit_.products, fit_.busy), rows, chosen);
  const double waiting = At(SolveNonNegative(fit_.products, fit_.waiting), rows, chosen);
  capacity.step_seconds = busy + waiting;
  if (capacity.step_seconds <= 0) return {};
  capacity.waiting_share = waiting / capacity.step_seconds;
  capacity.tokens_per_second = chosen / capacity.step_seconds;
  return capacity;
}

}  // namespace moesaic::router
