#include "kernels/elementwise.h"

#include <algorithm>

#include "base/status_macros.h"
#include "kernels/args_check.h"
#include "kernels/backends.h"

namespace moesaic::kernels {
namespace {

using base::DType;

bool OffsetsValid(const base::TensorView& offsets, std::int64_t slots) {
  if (offsets.device.kind != base::DeviceKind::kCpu) return true;
  const auto* begin = offsets.As<const std::int32_t>();
  const auto* end = begin + offsets.elements();
  return begin[0] >= 0 && end[-1] <= slots && std::is_sorted(begin, end);
}

template <class Args>
absl::Status CheckAndLaunch(const Args& args, base::Stream& stream) {
  MOESAIC_RETURN_IF_ERROR(CanRun(args));
  return LaunchOnCpu(args, stream);
}

}  // namespace

absl::Status CanRun(const CastArgs& args) {
  const std::int64_t n = args.x.dim(1);
  return ArgsCheck("cast")
      .Tensor("x", args.x, {DType::kF32, DType::kBF16}, {ArgsCheck::kAny, n})
      .Tensor("y", args.y, {DType::kF32, DType::kBF16}, {args.x.dim(0), n})
      .Stride("x_row_stride", args.x_row_stride, n)
      .Stride("y_row_stride", args.y_row_stride, n)
      .status();
}

absl::Status CanRun(const AddArgs& args) {
  return ArgsCheck("add")
      .Tensor("a", args.a, {DType::kF32}, {ArgsCheck::kAny, ArgsCheck::kAny})
      .Tensor("b", args.b, {DType::kF32}, {args.a.dim(0), args.a.dim(1)})
      .Tensor("y", args.y, {DType::kF32}, {args.a.dim(0), args.a.dim(1)})
      .status();
}

absl::Status CanRun(const SiluMulArgs& args) {
  const std::int64_t rows = args.y.dim(0);
  const std::int64_t n = args.y.dim(1);
  return ArgsCheck("silu_mul")
      .Tensor("y", args.y, {DType::kF32, DType::kBF16}, {rows, n})
      .Tensor("gate_up", args.gate_up, {DType::kF32}, {rows, 2 * n})
      .status();
}

absl::Status CanRun(const CombineArgs& args) {
  const std::int64_t tokens = args.residual.dim(0);
  const std::int64_t n = args.residual.dim(1);
  ArgsCheck check("combine");
  check.Tensor("residual", args.residual, {DType::kF32}, {tokens, n})
      .Tensor("slots", args.slots, {DType::kF32}, {ArgsCheck::kAny, n})
      .Tensor("slot_offsets", args.slot_offsets, {DType::kI32}, {tokens + 1})
      .Tensor("y", args.y, {DType::kF32}, {tokens, n});
  if (args.shared.data != nullptr) check.Tensor("shared", args.shared, {DType::kF32}, {tokens, n});
  if (check.ok()) {
    check.That(OffsetsValid(args.slot_offsets, args.slots.dim(0)),
               "slot_offsets decrease or leave the slots");
  }
  return check.status();
}

absl::Status CanRun(const EmbeddingArgs& args) {
  const std::int64_t n = args.table.dim(1);
  ArgsCheck check("embedding");
  check.Tensor("table", args.table, {DType::kF32, DType::kBF16, DType::kF16}, {ArgsCheck::kAny, n})
      .Tensor("ids", args.ids, {DType::kI32}, {ArgsCheck::kAny})
      .Tensor("y", args.y, {DType::kF32}, {args.ids.dim(0), n});
  if (check.ok()) {
    check.That(IndicesWithin(args.ids, args.table.dim(0)), "an id lies outside the vocabulary");
  }
  return check.status();
}

absl::Status CanRun(const ClipArgs& args) {
  return ArgsCheck("clip")
      .Tensor("x", args.x, {DType::kF32}, {ArgsCheck::kAny, ArgsCheck::kAny})
      .Tensor("y", args.y, {DType::kF32}, {args.x.dim(0), args.x.dim(1)})
      .That(args.limit > 0, "the limit is not positive")
      .status();
}

absl::Status Launch(const CastArgs& args, base::Stream& stream) {
  return CheckAndLaunch(args, stream);
}
absl::Status Launch(const AddArgs& args, base::Stream& stream) {
  return CheckAndLaunch(args, stream);
}
absl::Status Launch(const SiluMulArgs& args, base::Stream& stream) {
  return CheckAndLaunch(args, stream);
}
absl::Status Launch(const CombineArgs& args, base::Stream& stream) {
  return CheckAndLaunch(args, stream);
}
absl::Status Launch(const EmbeddingArgs& args, base::Stream& stream) {
  return CheckAndLaunch(args, stream);
}
absl::Status Launch(const ClipArgs& args, base::Stream& stream) {
  return CheckAndLaunch(args, stream);
}

}  // namespace moesaic::kernels
