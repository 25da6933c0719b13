#include "kernels/linear.h"

#include "base/status_macros.h"
#include "kernels/args_check.h"
#include "kernels/backends.h"

namespace moesaic::kernels {

absl::Status CanRun(const LinearArgs& args) {
  using base::DType;
  if (args.weight == nullptr) return absl::InvalidArgumentError("linear: no weight");
  const std::int64_t m = args.x.dim(0);
  return ArgsCheck("linear", KernelDevices::kCpuAndCuda)
      .Tensor("x", args.x, {DType::kF32, DType::kBF16}, {ArgsCheck::kAny, args.weight->k()})
      .On("weight", args.weight->device())
      .Tensor("y", args.y, {DType::kF32, DType::kBF16}, {m, args.weight->n()})
      .Stride("x_row_stride", args.x_row_stride, args.weight->k())
      .Stride("y_row_stride", args.y_row_stride, args.weight->n())
      .status();
}

std::size_t WorkspaceBytes(const LinearArgs&) { return 0; }

absl::Status Launch(const LinearArgs& args, base::TensorView, base::Stream& stream) {
  MOESAIC_RETURN_IF_ERROR(CanRun(args));
  return LaunchOnAny(args, args.y.device, stream);
}

}  // namespace moesaic::kernels
