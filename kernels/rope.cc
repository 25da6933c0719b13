#include "kernels/rope.h"

#include "base/status_macros.h"
#include "kernels/args_check.h"
#include "kernels/backends.h"
#include "kernels/rows.h"

namespace moesaic::kernels {

absl::Status CanRun(const RopeArgs& args) {
  using base::DType;
  if (args.table == nullptr) return absl::InvalidArgumentError("rope: no table");
  const std::int64_t rows = args.x.dim(0);
  const std::int64_t heads = args.x.dim(1);
  const std::int64_t dim = args.table->dim();
  const std::int64_t x_head = StrideOr(args.x_head_stride, dim);
  const std::int64_t y_head = StrideOr(args.y_head_stride, dim);
  ArgsCheck check("rope");
  check.Tensor("x", args.x, {DType::kF32}, {rows, heads, dim})
      .Tensor("y", args.y, {DType::kF32, DType::kBF16}, {rows, heads, dim})
      .Tensor("positions", args.positions, {DType::kI32}, {rows})
      .On("table", args.table->device())
      .Stride("x_head_stride", args.x_head_stride, dim)
      .Stride("y_head_stride", args.y_head_stride, dim)
      .Stride("x_row_stride", args.x_row_stride, heads == 0 ? 0 : (heads - 1) * x_head + dim)
      .Stride("y_row_stride", args.y_row_stride, heads == 0 ? 0 : (heads - 1) * y_head + dim);
  if (check.ok()) {
    check.That(IndicesWithin(args.positions, args.table->max_positions()),
               "a position lies outside the table");
  }
  return check.status();
}

std::size_t WorkspaceBytes(const RopeArgs&) { return 0; }

absl::Status Launch(const RopeArgs& args, base::TensorView, base::Stream& stream) {
  MOESAIC_RETURN_IF_ERROR(CanRun(args));
  return LaunchOnCpu(args, stream);
}

}  // namespace moesaic::kernels
