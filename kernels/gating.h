#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "base/stream.h"
#include "base/tensor.h"

namespace moesaic::kernels {

/// Experts a layer may have; bounds what a row needs on the stack.
inline constexpr int kMaxExperts = 2048;

enum class GateScoring : std::uint8_t { kSoftmax, kSigmoid };
/// How a group of experts is rated when only the best groups may be chosen from.
enum class GroupScore : std::uint8_t { kMax, kTop2Sum };

/// One routing rule; every family is a setting of it, none is wired in. Immutable value.
///   DeepSeek-V3   kSigmoid, kTop2Sum, correction bias; normalize = norm_topk_prob && top_k > 1,
///                 epsilon 1e-20, scale = routed_scaling_factor
///   DeepSeek-V2   kSoftmax, kMax (groups = 1 for `greedy`); normalize and epsilon as V3,
///                 scale = normalize ? 1 : routed_scaling_factor
///   Qwen3, OLMoE  kSoftmax, normalize = norm_topk_prob, epsilon 0
///   Mixtral       kSoftmax, normalize = true, epsilon 0
struct GatingParams {
  GateScoring scoring = GateScoring::kSoftmax;
  int experts = 0;
  int top_k = 0;
  /// Groups of consecutive experts, and how many of them a token may choose from. 1 and 1: no
  /// groups.
  int groups = 1;
  int topk_groups = 1;
  GroupScore group_score = GroupScore::kMax;
  /// Divides the chosen scores by (their sum + normalize_epsilon).
  bool normalize = false;
  float normalize_epsilon = 0;
  /// Multiplies the weights last.
  float scale = 1;
};

/// Chooses top_k experts per token and their weights, in f32.
///
/// score = softmax over all experts (max; Exp(x - max); 16-lane sum; quotient) or sigmoid;
/// choice = score + bias; a group is rated by its largest choice or the sum of its two largest;
/// choices outside the best topk_groups groups become -inf; the top_k largest choices are taken,
/// ties to the lowest index everywhere. weight = score (never the biased one), divided by (sum over
/// the chosen in ascending id + epsilon) if normalize, times scale.
/// A row with a non-finite logit, or with forced ids out of range or repeated, is marked invalid
/// and gets ids -1 and weights 0; no other row is touched by it.
struct GatingArgs {
  GatingParams params;
  /// f32 [tokens, experts].
  base::TensorView logits;
  /// f32 [experts], added for the selection only; no data when the model has none.
  base::TensorView correction_bias;
  /// Optional i32 [tokens, top_k], any order: the experts to use instead of choosing; a row whose
  /// first id is negative chooses freely. No data: every row does.
  base::TensorView forced_ids;
  /// i32 [tokens, top_k]: ids ascending, what dispatch needs.
  base::TensorView expert_ids;
  /// f32 [tokens, top_k]: weight of each id in expert_ids.
  base::TensorView weights;
  /// Optional i32 [tokens, top_k]: the same ids by descending weight, ties to the lowest id.
  base::TensorView ids_by_weight;
  /// u8 [tokens]: 1 where the row is invalid, else 0.
  base::TensorView invalid;
};

/// Errors: InvalidArgument naming what does not fit; Unimplemented for a device without this op.
absl::Status CanRun(const GatingArgs& args);
/// 0: a row's scores live on the stack.
std::size_t WorkspaceBytes(const GatingArgs& args);
/// Enqueues the op. Errors: those of CanRun.
absl::Status Launch(const GatingArgs& args, base::TensorView workspace, base::Stream& stream);

/// The same arithmetic by plain loops over host memory, for tests. Requires: CanRun(args) is OK.
void GatingReference(const GatingArgs& args);

}  // namespace moesaic::kernels
