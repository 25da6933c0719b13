#include "kernels/rms_norm.h"

#include "base/status_macros.h"
#include "kernels/args_check.h"
#include "kernels/backends.h"

namespace moesaic::kernels {

absl::Status CanRun(const RmsNormArgs& args) {
  using base::DType;
  const std::int64_t rows = args.x.dim(0);
  const std::int64_t n = args.weight.dim(0);
  ArgsCheck check("rms_norm", KernelDevices::kCpuAndCuda);
  if (args.x.rank == 3) {
    const std::int64_t heads = args.x.dim(1);
    check.Tensor("x", args.x, {DType::kF32}, {rows, heads, n})
        .Tensor("y", args.y, {DType::kF32, DType::kBF16}, {rows, heads, n});
  } else {
    check.Tensor("x", args.x, {DType::kF32}, {rows, n})
        .Tensor("y", args.y, {DType::kF32, DType::kBF16}, {rows, n});
  }
  const std::int64_t width = args.x.rank == 3 ? args.x.dim(1) * n : n;
  return check.Tensor("weight", args.weight, {DType::kF32, DType::kBF16}, {n})
      .Stride("x_row_stride", args.x_row_stride, width)
      .Stride("y_row_stride", args.y_row_stride, width)
      .That(n > 0, "a norm of no elements")
      .status();
}

std::size_t WorkspaceBytes(const RmsNormArgs&) { return 0; }

absl::Status Launch(const RmsNormArgs& args, base::TensorView, base::Stream& stream) {
  MOESAIC_RETURN_IF_ERROR(CanRun(args));
  return LaunchOnAny(args, args.y.device, stream);
}

}  // namespace moesaic::kernels
