#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/gating.h"
#include "kernels/simd_math.h"

namespace moesaic::kernels {
namespace {

using Floats = std::vector<float>;
using Ids = std::vector<std::int32_t>;

bool AllFinite(const Floats& values) {
  return std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
}

/// 0 … values.size() - 1 by descending value, ties by ascending index.
Ids ByDescending(const Floats& values) {
  Ids order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return values[static_cast<std::size_t>(a)] > values[static_cast<std::size_t>(b)];
  });
  return order;
}

Floats Scores(GateScoring scoring, Floats x) {
  if (scoring == GateScoring::kSigmoid) {
    for (float& v : x) v = Sigmoid(v);
    return x;
  }
  const float max = *std::max_element(x.begin(), x.end());
  for (float& v : x) v = Exp(v - max);
  const float sum = LaneSum(x.data(), static_cast<long>(x.size()));
  for (float& v : x) v /= sum;
  return x;
}

void MaskGroups(const GatingParams& params, Floats& choices) {
  if (params.groups == 1) return;
  const int size = params.experts / params.groups;
  Floats ratings;
  for (int g = 0; g < params.groups; ++g) {
    Floats group(choices.begin() + g * size, choices.begin() + (g + 1) * size);
    std::sort(group.begin(), group.end(), std::greater<>());
    ratings.push_back(params.group_score == GroupScore::kMax ? group[0] : group[0] + group[1]);
  }
  const Ids order = ByDescending(ratings);
  for (std::size_t i = static_cast<std::size_t>(params.topk_groups); i < order.size(); ++i) {
    std::fill_n(choices.begin() + order[i] * size, size, -std::numeric_limits<float>::infinity());
  }
}

/// The experts of one row, ascending; empty when the row is invalid.
Ids Choose(const GatingArgs& args, std::int64_t row, const Floats& scores) {
  const auto top_k = static_cast<std::size_t>(args.params.top_k);
  if (args.forced_ids.data != nullptr) {
    const std::int32_t* forced = args.forced_ids.As<std::int32_t>() + row * args.params.top_k;
    if (forced[0] >= 0) {
      Ids ids(forced, forced + top_k);
      std::sort(ids.begin(), ids.end());
      const bool distinct = std::adjacent_find(ids.begin(), ids.end()) == ids.end();
      return distinct && ids.front() >= 0 && ids.back() < args.params.experts ? ids : Ids();
    }
  }
  Floats choices = scores;
  if (args.correction_bias.data != nullptr) {
    for (std::size_t e = 0; e < choices.size(); ++e) {
      choices[e] += args.correction_bias.As<float>()[e];
    }
  }
  if (!AllFinite(choices)) return {};
  MaskGroups(args.params, choices);
  Ids ids = ByDescending(choices);
  ids.resize(top_k);
  std::sort(ids.begin(), ids.end());
  return ids;
}

Floats Weights(const GatingParams& params, const Floats& scores, const Ids& ids) {
  Floats weights;
  float sum = 0;
  for (const std::int32_t id : ids) {
    weights.push_back(scores[static_cast<std::size_t>(id)]);
    sum += weights.back();
  }
  for (float& w : weights) {
    if (params.normalize) w /= sum + params.normalize_epsilon;
    w *= params.scale;
  }
  return weights;
}

void RouteRow(const GatingArgs& args, std::int64_t row) {
  const GatingParams& params = args.params;
  const float* logits = args.logits.As<float>() + row * params.experts;
  const Floats x(logits, logits + params.experts);
  Ids ids;
  Floats weights;
  if (AllFinite(x)) {
    const Floats scores = Scores(params.scoring, x);
    ids = Choose(args, row, scores);
    weights = Weights(params, scores, ids);
  }
  const bool valid = !ids.empty() && AllFinite(weights);
  args.invalid.As<std::uint8_t>()[row] = valid ? 0 : 1;
  if (!valid) {
    ids.assign(static_cast<std::size_t>(params.top_k), -1);
    weights.assign(static_cast<std::size_t>(params.top_k), 0.0f);
  }
  std::copy(ids.begin(), ids.end(), args.expert_ids.As<std::int32_t>() + row * params.top_k);
  std::copy(weights.begin(), weights.end(), args.weights.As<float>() + row * params.top_k);
  if (args.ids_by_weight.data == nullptr) return;
  std::int32_t* out = args.ids_by_weight.As<std::int32_t>() + row * params.top_k;
  for (const std::int32_t i : ByDescending(weights)) *out++ = ids[static_cast<std::size_t>(i)];
}

}  // namespace

void GatingReference(const GatingArgs& args) {
  for (std::int64_t row = 0; row < args.logits.dim(0); ++row) RouteRow(args, row);
}

}  // namespace moesaic::kernels
