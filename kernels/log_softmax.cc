#include "kernels/log_softmax.h"

#include "base/status_macros.h"
#include "kernels/args_check.h"
#include "kernels/backends.h"

namespace moesaic::kernels {

absl::Status CanRun(const LogSoftmaxArgs& args) {
  using base::DType;
  const std::int64_t rows = args.logits.dim(0);
  ArgsCheck check("log_softmax");
  check.Tensor("logits", args.logits, {DType::kF32}, {ArgsCheck::kAny, ArgsCheck::kAny})
      .That(args.logits.dim(1) >= 1, "the vocabulary is empty")
      .Tensor("invalid", args.invalid, {DType::kU8}, {rows})
      .That((args.targets.data == nullptr) == (args.target_logprobs.data == nullptr),
            "targets and target_logprobs go together")
      .That((args.top_ids.data == nullptr) == (args.top_logprobs.data == nullptr),
            "top_ids and top_logprobs go together");
  if (args.targets.data != nullptr) {
    check.Tensor("targets", args.targets, {DType::kI32}, {rows})
        .Tensor("target_logprobs", args.target_logprobs, {DType::kF32}, {rows});
  }
  if (args.top_ids.data != nullptr) {
    check.Tensor("top_ids", args.top_ids, {DType::kI32}, {rows, ArgsCheck::kAny})
        .Tensor("top_logprobs", args.top_logprobs, {DType::kF32}, {rows, args.top_ids.dim(1)})
        .That(args.top_ids.dim(1) <= args.logits.dim(1), "top_n exceeds the vocabulary");
  }
  return check.status();
}

std::size_t WorkspaceBytes(const LogSoftmaxArgs&) { return 0; }

absl::Status Launch(const LogSoftmaxArgs& args, base::TensorView, base::Stream& stream) {
  MOESAIC_RETURN_IF_ERROR(CanRun(args));
  return LaunchOnCpu(args, stream);
}

}  // namespace moesaic::kernels
