#include "kernels/gating.h"

#include "base/status_macros.h"
#include "kernels/args_check.h"
#include "kernels/backends.h"

namespace moesaic::kernels {
namespace {

void CheckParams(const GatingParams& params, ArgsCheck& check) {
  check.That(params.experts >= 1 && params.experts <= kMaxExperts, "experts is out of range")
      .That(params.top_k >= 1 && params.top_k <= params.experts, "top_k is out of range")
      .That(params.groups >= 1 && params.topk_groups >= 1 && params.topk_groups <= params.groups,
            "topk_groups is out of range")
      .That(params.groups >= 1 && params.experts % params.groups == 0,
            "experts is not a multiple of groups");
  if (!check.ok()) return;
  const int group_size = params.experts / params.groups;
  check
      .That(params.top_k <= group_size * params.topk_groups,
            "the groups chosen hold fewer than top_k experts")
      .That(params.groups == 1 || params.group_score == GroupScore::kMax || group_size >= 2,
            "a group of one has no sum of its two largest");
}

}  // namespace

absl::Status CanRun(const GatingArgs& args) {
  using base::DType;
  const GatingParams& params = args.params;
  ArgsCheck check("gating");
  CheckParams(params, check);
  const std::int64_t tokens = args.logits.dim(0);
  check.Tensor("logits", args.logits, {DType::kF32}, {ArgsCheck::kAny, params.experts})
      .Tensor("expert_ids", args.expert_ids, {DType::kI32}, {tokens, params.top_k})
      .Tensor("weights", args.weights, {DType::kF32}, {tokens, params.top_k})
      .Tensor("invalid", args.invalid, {DType::kU8}, {tokens});
  if (args.correction_bias.data != nullptr) {
    check.Tensor("correction_bias", args.correction_bias, {DType::kF32}, {params.experts});
  }
  if (args.forced_ids.data != nullptr) {
    check.Tensor("forced_ids", args.forced_ids, {DType::kI32}, {tokens, params.top_k});
  }
  if (args.ids_by_weight.data != nullptr) {
    check.Tensor("ids_by_weight", args.ids_by_weight, {DType::kI32}, {tokens, params.top_k});
  }
  return check.status();
}

std::size_t WorkspaceBytes(const GatingArgs&) { return 0; }

absl::Status Launch(const GatingArgs& args, base::TensorView, base::Stream& stream) {
  MOESAIC_RETURN_IF_ERROR(CanRun(args));
  return LaunchOnCpu(args, stream);
}

}  // namespace moesaic::kernels
