#include "kernels/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/status_macros.h"
#include "kernels/sampling_cpu.h"

namespace moesaic::kernels {
namespace {

using Candidates = std::vector<std::int32_t>;

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

bool InVocabulary(std::int32_t token, absl::Span<const float> logits) {
  return token >= 0 && static_cast<std::size_t>(token) < logits.size();
}

absl::Status CheckParams(const SamplingParams& params) {
  // Negated comparisons, so that a NaN is out of range too.
  if (!(params.temperature >= 0) || std::isinf(params.temperature)) {
    return absl::InvalidArgumentError("temperature must be finite and at least 0");
  }
  if (params.top_k < 0) return absl::InvalidArgumentError("top_k must be at least 0");
  if (!(params.top_p > 0 && params.top_p <= 1)) {
    return absl::InvalidArgumentError("top_p must be in (0, 1]");
  }
  if (!(params.min_p >= 0 && params.min_p <= 1)) {
    return absl::InvalidArgumentError("min_p must be in [0, 1]");
  }
  if (!(params.repetition_penalty > 0) || std::isinf(params.repetition_penalty)) {
    return absl::InvalidArgumentError("repetition_penalty must be finite and greater than 0");
  }
  if (!std::isfinite(params.presence_penalty) || !std::isfinite(params.frequency_penalty)) {
    return absl::InvalidArgumentError("penalties must be finite");
  }
  return absl::OkStatus();
}

void Penalise(const SamplingParams& params, const TokenHistory& history, absl::Span<float> logits) {
  for (const auto& [token, generated] : history.counts()) {
    if (!InVocabulary(token, logits)) continue;
    float& logit = logits[static_cast<std::size_t>(token)];
    logit = logit > 0 ? logit / params.repetition_penalty : logit * params.repetition_penalty;
    if (generated == 0) continue;
    logit -= params.frequency_penalty * static_cast<float>(generated);
    logit -= params.presence_penalty;
  }
}

double Sum(absl::Span<const float> p, const Candidates& tokens) {
  double sum = 0;
  for (const std::int32_t token : tokens) sum += p[static_cast<std::size_t>(token)];
  return sum;
}

/// Keeps the first candidates in the order (descending p, ascending id) whose sum reaches
/// top_p times the sum of all. Pops from a heap: few are usually kept.
void KeepTopP(absl::Span<const float> p, float top_p, Candidates& tokens) {
  const double wanted = static_cast<double>(top_p) * Sum(p, tokens);
  const auto less_likely = [p](std::int32_t a, std::int32_t b) {
    const float pa = p[static_cast<std::size_t>(a)];
    const float pb = p[static_cast<std::size_t>(b)];
    return pa != pb ? pa < pb : a > b;
  };
  std::make_heap(tokens.begin(), tokens.end(), less_likely);
  auto heap_end = tokens.end();
  for (double sum = 0; sum < wanted && heap_end != tokens.begin();) {
    std::pop_heap(tokens.begin(), heap_end, less_likely);
    --heap_end;
    sum += p[static_cast<std::size_t>(*heap_end)];
  }
  tokens.erase(tokens.begin(), heap_end);
}

/// The tokens that may be drawn, ascending. p: the largest is 1.
Candidates Keep(const SamplingParams& params, absl::Span<const float> p) {
  Candidates tokens;
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (p[i] > 0 && p[i] >= params.min_p) tokens.push_back(static_cast<std::int32_t>(i));
  }
  const auto top_k = static_cast<std::size_t>(params.top_k);
  if (top_k > 0 && top_k < tokens.size()) {
    const auto more_likely = [p](std::int32_t a, std::int32_t b) {
      const float pa = p[static_cast<std::size_t>(a)];
      const float pb = p[static_cast<std::size_t>(b)];
      return pa != pb ? pa > pb : a < b;
    };
    std::nth_element(tokens.begin(), tokens.begin() + params.top_k, tokens.end(), more_likely);
    tokens.resize(top_k);
    std::sort(tokens.begin(), tokens.end());
  }
  if (params.top_p < 1) {
    KeepTopP(p, params.top_p, tokens);
    std::sort(tokens.begin(), tokens.end());
  }
  return tokens;
}

std::int32_t Draw(absl::Span<const float> p, const Candidates& tokens, double u) {
  const double threshold = u * Sum(p, tokens);
  double sum = 0;
  for (const std::int32_t token : tokens) {
    sum += p[static_cast<std::size_t>(token)];
    if (sum > threshold) return token;
  }
  return tokens.back();
}

}  // namespace

void TokenHistory::AddPrompt(absl::Span<const std::int32_t> tokens) {
  for (const std::int32_t token : tokens) counts_.try_emplace(token, 0);
}

void TokenHistory::AddGenerated(std::int32_t token) { ++counts_[token]; }

void AdjustLogits(const SamplingInput& input, absl::Span<float> logits) {
  for (const std::int32_t token : input.forbidden) {
    if (InVocabulary(token, logits)) logits[static_cast<std::size_t>(token)] = kForbidden;
  }
  for (const LogitBias& bias : input.logit_bias) {
    if (InVocabulary(bias.token, logits)) {
      logits[static_cast<std::size_t>(bias.token)] += bias.bias;
    }
  }
  if (input.history != nullptr) Penalise(input.params, *input.history, logits);
}

absl::StatusOr<std::int32_t> SampleToken(const SamplingInput& input, absl::Span<float> logits) {
  MOESAIC_RETURN_IF_ERROR(CheckParams(input.params));
  if (logits.empty()) return absl::InvalidArgumentError("there are no logits to sample from");
  AdjustLogits(input, logits);
  const std::int32_t best = ArgMax(logits);
  const float max =
      best < 0 ? std::numeric_limits<float>::quiet_NaN() : logits[static_cast<std::size_t>(best)];
  if (std::isnan(max) || max == std::numeric_limits<float>::infinity()) {
    return absl::OutOfRangeError("a logit is not finite");
  }
  if (max == kForbidden) return absl::OutOfRangeError("every token is forbidden");
  if (input.params.temperature == 0) return best;
  ExpShifted(logits, max, input.params.temperature);
  return Draw(logits, Keep(input.params, logits), UniformDraw(input.key));
}

std::int32_t ArgMax(absl::Span<const float> values) {
  std::int32_t best = -1;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(values[i])) return -1;
    if (best < 0 || values[i] > values[static_cast<std::size_t>(best)]) {
      best = static_cast<std::int32_t>(i);
    }
  }
  return best;
}

}  // namespace moesaic::kernels
