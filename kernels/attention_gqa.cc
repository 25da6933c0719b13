#include "kernels/attention_gqa.h"

#include "base/status_macros.h"
#include "kernels/args_check.h"
#include "kernels/backends.h"
#include "kernels/paged_sequence.h"

namespace moesaic::kernels {

absl::Status CanRun(const AttentionGqaArgs& args) {
  using base::DType;
  ArgsCheck check("attention_gqa");
  check
      .That(args.heads >= 1 && args.kv_heads >= 1 && args.heads % args.kv_heads == 0,
            "heads is not a multiple of kv_heads")
      .That(args.parallelism >= 1, "parallelism is less than 1")
      .Tensor("query", args.query, {DType::kF32, DType::kBF16}, {ArgsCheck::kAny, ArgsCheck::kAny})
      .Tensor("out", args.out, {DType::kF32, DType::kBF16}, {args.query.dim(0), ArgsCheck::kAny});
  if (!check.ok()) return check.status();
  const std::int64_t head_dim = args.query.dim(1) / args.heads;
  const std::int64_t v_dim = args.out.dim(1) / args.heads;
  check
      .That(head_dim >= 1 && args.query.dim(1) == args.heads * head_dim,
            "the width of query is not a multiple of heads")
      .That(v_dim >= 1 && args.out.dim(1) == args.heads * v_dim,
            "the width of out is not a multiple of heads");
  CheckCache("keys", args.keys, {DType::kF32, DType::kBF16}, args.kv_heads * head_dim, check);
  CheckCache("values", args.values, {args.keys.pages.dtype}, args.kv_heads * v_dim, check);
  CheckBatch(args.batch, check);
  return check
      .That(args.keys.blocks() == args.values.blocks() &&
                args.keys.block_tokens() == args.values.block_tokens(),
            "keys and values are paged differently")
      .status();
}

std::size_t WorkspaceBytes(const AttentionGqaArgs& args) { return cpu::WorkspaceBytes(args); }

absl::Status Launch(const AttentionGqaArgs& args, base::TensorView workspace,
                    base::Stream& stream) {
  MOESAIC_RETURN_IF_ERROR(CanRun(args));
  return LaunchOnCpu(args, workspace, WorkspaceBytes(args), stream);
}

}  // namespace moesaic::kernels
