#include "kernels/attention_mla.h"

#include "base/status_macros.h"
#include "kernels/args_check.h"
#include "kernels/backends.h"
#include "kernels/paged_sequence.h"

namespace moesaic::kernels {

using base::DType;

absl::Status CanRun(const AttentionMlaArgs& args) {
  const MlaShape& shape = args.shape;
  const std::int64_t heads = shape.heads;
  const std::int64_t weight_rows = heads * (shape.nope + shape.v_dim);
  ArgsCheck check("attention_mla");
  check
      .That(heads >= 1 && shape.kv_lora >= 1 && shape.nope >= 1 && shape.rope >= 0 &&
                shape.v_dim >= 1,
            "a size in shape is not positive")
      .That(args.parallelism >= 1, "parallelism is less than 1")
      .Tensor("query", args.query, {DType::kF32, DType::kBF16},
              {ArgsCheck::kAny, heads * (shape.nope + shape.rope)})
      .Tensor("out", args.out, {DType::kF32, DType::kBF16},
              {args.query.dim(0), heads * shape.v_dim})
      .Tensor("kv_b", args.kv_b, {DType::kF32, DType::kBF16, DType::kF8E4M3},
              {weight_rows, shape.kv_lora});
  if (args.kv_b.dtype == DType::kF8E4M3) {
    check.Tensor("kv_b_scales", args.kv_b_scales, {DType::kF32},
                 {(weight_rows + kMlaScaleBlock - 1) / kMlaScaleBlock,
                  (shape.kv_lora + kMlaScaleBlock - 1) / kMlaScaleBlock});
  }
  CheckCache("cache", args.cache, {DType::kF32, DType::kBF16}, shape.kv_lora + shape.rope, check);
  CheckBatch(args.batch, check);
  return check
      .Tensor("prompt_lengths", args.prompt_lengths, {DType::kI32}, {args.batch.sequences()})
      .status();
}

std::size_t WorkspaceBytes(const AttentionMlaArgs& args) { return cpu::WorkspaceBytes(args); }

absl::Status Launch(const AttentionMlaArgs& args, base::TensorView workspace,
                    base::Stream& stream) {
  MOESAIC_RETURN_IF_ERROR(CanRun(args));
  return LaunchOnCpu(args, workspace, WorkspaceBytes(args), stream);
}

}  // namespace moesaic::kernels
