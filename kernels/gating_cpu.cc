#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "absl/types/span.h"
#include "kernels/backends.h"
#include "kernels/row_scan.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gating_cpu.cc"
#include "kernels/simd_targets.h"
// After simd_targets.h.
#include "hwy/foreach_target.h"
#include "kernels/simd_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moesaic::kernels {
namespace HWY_NAMESPACE {

/// Logits → scores in place; x has room for a whole number of 16 lanes.
void ScoreRow(GateScoring scoring, std::int64_t experts, float* x) {
  const auto step = static_cast<std::int64_t>(kVectorLanes);
  if (scoring == GateScoring::kSigmoid) {
    for (std::int64_t i = 0; i < experts; i += step) StoreF32(Sigmoid(LoadF32(x + i)), x + i);
    return;
  }
  const VF max = hn::Set(DF(), LaneMax(x, experts, -HUGE_VALF));
  for (std::int64_t i = 0; i < experts; i += step) {
    StoreF32(Exp(hn::Sub(LoadF32(x + i), max)), x + i);
  }
  const VF sum = hn::Set(DF(), LaneSum(x, experts));
  for (std::int64_t i = 0; i < experts; i += step) StoreF32(hn::Div(LoadF32(x + i), sum), x + i);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace moesaic::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moesaic::kernels {

HWY_EXPORT(ScoreRow);

namespace {

constexpr std::int64_t kTokensPerItem = 16;
constexpr float kExcluded = -std::numeric_limits<float>::infinity();

using Ids = absl::Span<std::int32_t>;

float RateGroup(GroupScore rule, absl::Span<const float> choices) {
  float first = kExcluded;
  float second = kExcluded;
  for (const float c : choices) {
    second = std::max(second, std::min(first, c));
    first = std::max(first, c);
  }
  return rule == GroupScore::kMax ? first : first + second;
}

void MaskGroups(const GatingParams& params, absl::Span<float> choices) {
  if (params.groups == 1) return;
  const std::size_t groups = static_cast<std::size_t>(params.groups);
  const std::size_t size = choices.size() / groups;
  float ratings[kMaxExperts];
  bool kept[kMaxExperts] = {};
  std::int32_t best[kMaxExperts];
  for (std::size_t g = 0; g < groups; ++g) {
    ratings[g] = RateGroup(params.group_score, choices.subspan(g * size, size));
  }
  const Ids chosen(best, static_cast<std::size_t>(params.topk_groups));
  TopN({ratings, groups}, chosen);
  for (const std::int32_t g : chosen) kept[g] = true;
  for (std::size_t g = 0; g < groups; ++g) {
    if (!kept[g]) std::fill_n(choices.begin() + g * size, size, kExcluded);
  }
}

/// Takes the forced ids of a row. Answers whether they are distinct and in range.
bool TakeForced(const std::int32_t* forced, int experts, Ids ids) {
  std::copy_n(forced, ids.size(), ids.begin());
  std::sort(ids.begin(), ids.end());
  return ids.front() >= 0 && ids.back() < experts &&
         std::adjacent_find(ids.begin(), ids.end()) == ids.end();
}

/// Fills `ids`, ascending. Answers false when the row is invalid.
bool Choose(const GatingArgs& args, std::int64_t row, absl::Span<const float> scores, Ids ids) {
  if (args.forced_ids.data != nullptr) {
    const std::int32_t* forced = args.forced_ids.As<std::int32_t>() + row * args.params.top_k;
    if (forced[0] >= 0) return TakeForced(forced, args.params.experts, ids);
  }
  float choices[kMaxExperts];
  const float* bias = args.correction_bias.As<float>();
  for (std::size_t e = 0; e < scores.size(); ++e) {
    choices[e] = bias == nullptr ? scores[e] : scores[e] + bias[e];
  }
  const absl::Span<float> all(choices, scores.size());
  if (!AllFinite(all)) return false;
  MaskGroups(args.params, all);
  TopN(all, ids);
  std::sort(ids.begin(), ids.end());
  return true;
}

void Weigh(const GatingParams& params, absl::Span<const float> scores, Ids ids,
           absl::Span<float> weights) {
  float sum = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    weights[i] = scores[static_cast<std::size_t>(ids[i])];
    sum += weights[i];
  }
  for (float& w : weights) {
    if (params.normalize) w /= sum + params.normalize_epsilon;
    w *= params.scale;
  }
}

/// ids and weights of one row, into the outputs. Answers false when the row is invalid.
bool RouteRow(const GatingArgs& args, std::int64_t row, Ids ids, absl::Span<float> weights) {
  const GatingParams& params = args.params;
  const auto experts = static_cast<std::size_t>(params.experts);
  alignas(64) float scores[kMaxExperts];
  std::copy_n(args.logits.As<float>() + row * params.experts, experts, scores);
  if (!AllFinite({scores, experts})) return false;
  std::fill(scores + experts, scores + std::min<std::size_t>(kMaxExperts, experts + 16), 0.0f);
  HWY_DYNAMIC_DISPATCH(ScoreRow)(params.scoring, params.experts, scores);
  if (!Choose(args, row, {scores, experts}, ids)) return false;
  Weigh(params, {scores, experts}, ids, weights);
  return AllFinite(weights);
}

void RouteToken(const GatingArgs& args, std::int64_t row) {
  const auto top_k = static_cast<std::size_t>(args.params.top_k);
  const std::int64_t at = row * args.params.top_k;
  const Ids ids(args.expert_ids.As<std::int32_t>() + at, top_k);
  const absl::Span<float> weights(args.weights.As<float>() + at, top_k);
  const bool valid = RouteRow(args, row, ids, weights);
  args.invalid.As<std::uint8_t>()[row] = valid ? 0 : 1;
  if (!valid) {
    std::fill(ids.begin(), ids.end(), -1);
    std::fill(weights.begin(), weights.end(), 0.0f);
  }
  if (args.ids_by_weight.data == nullptr) return;
  const Ids order(args.ids_by_weight.As<std::int32_t>() + at, top_k);
  TopN(weights, order);
  for (std::int32_t& i : order) i = ids[static_cast<std::size_t>(i)];
}

}  // namespace

void cpu::Run(const GatingArgs& args, base::ComputePool& pool) {
  const std::int64_t tokens = args.logits.dim(0);
  pool.ParallelFor((tokens + kTokensPerItem - 1) / kTokensPerItem, [&](std::int64_t item) {
    const std::int64_t end = std::min(tokens, (item + 1) * kTokensPerItem);
    for (std::int64_t row = item * kTokensPerItem; row < end; ++row) RouteToken(args, row);
  });
}

}  // namespace moesaic::kernels
#endif  // HWY_ONCE
