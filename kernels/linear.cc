#include "kernels/linear.h"

#include "base/status_macros.h"
#include "kernels/args_check.h"
#include "kernels/backends.h"
#include "kernels/int8.h"

namespace moesaic::kernels {

absl::Status CanRun(const LinearArgs& args) {
  using base::DType;
  if (args.weight == nullptr) return absl::InvalidArgumentError("linear: no weight");
  const std::int64_t m = args.x.dim(0);
  return ArgsCheck("linear", KernelDevices::kCpuAndCuda)
      .Tensor("x", args.x, {DType::kF32, DType::kBF16}, {ArgsCheck::kAny, args.weight->k()})
      .On("weight", args.weight->device())
      .HostOnlyInt8("weight", *args.weight)
      .Tensor("y", args.y, {DType::kF32, DType::kBF16}, {m, args.weight->n()})
      .Stride("x_row_stride", args.x_row_stride, args.weight->k())
      .Stride("y_row_stride", args.y_row_stride, args.weight->n())
      .status();
}

std::size_t LinearWorkspaceBytes(const PackedMatrix& weight, std::int64_t rows) {
  return weight.storage() == base::DType::kI8 ? Int8Rows::Bytes(rows, weight.k()) : 0;
}

std::size_t WorkspaceBytes(const LinearArgs& args) {
  return LinearWorkspaceBytes(*args.weight, args.x.dim(0));
}

absl::Status Launch(const LinearArgs& args, base::TensorView workspace, base::Stream& stream) {
  MOESAIC_RETURN_IF_ERROR(CanRun(args));
  MOESAIC_RETURN_IF_ERROR(CheckStream(args.y.device, stream));
#ifdef MOESAIC_HAVE_CUDA
  if (args.y.device.kind == base::DeviceKind::kCuda) {
    return cuda::Run(args, static_cast<CudaStream&>(stream));
  }
#endif
  return LaunchOnCpu(args, workspace, WorkspaceBytes(args), stream);
}

}  // namespace moesaic::kernels
