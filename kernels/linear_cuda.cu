#include <cstdint>

#include "kernels/backends.h"
#include "kernels/cuda_error.h"
#include "kernels/cuda_math.cuh"
#include "kernels/rows.h"

namespace moesaic::kernels::cuda {
namespace {

/// Block (b, t): columns [128 b, 128 b + 128) of rows [8 t, 8 t + 8).
template <class W, class X, class Y>
__global__ void LinearKernel(MatrixView w, const X* x, std::int64_t x_stride, std::int64_t m, Y* y,
                             std::int64_t y_stride) {
  __shared__ float stage[kTileRows][kStage];
  const std::int64_t row_begin = static_cast<std::int64_t>(blockIdx.y) * kTileRows;
  const int count = static_cast<int>(min(static_cast<std::int64_t>(kTileRows), m - row_begin));
  const std::int64_t n = static_cast<std::int64_t>(blockIdx.x) * kColumns + threadIdx.x;
  const X* rows[kTileRows];
  for (int r = 0; r < count; ++r) rows[r] = x + (row_begin + r) * x_stride;
  float acc[kTileRows];
  MultiplyColumn<W>(w, n, rows, count, stage, acc);
  if (n >= w.n) return;
  for (int r = 0; r < count; ++r) StoreRounded(acc[r], y + (row_begin + r) * y_stride + n);
}

}  // namespace

absl::Status Run(const LinearArgs& args, CudaStream& stream) {
  const MatrixView w = ViewOf(*args.weight);
  const std::int64_t m = args.x.dim(0);
  if (m == 0 || w.n == 0) return absl::OkStatus();
  const std::int64_t x_stride = StrideOr(args.x_row_stride, w.k);
  const std::int64_t y_stride = StrideOr(args.y_row_stride, w.n);
  DeviceScope scope(stream.device().index);
  // Row tiles in grid.y, at most 65535 of them a launch.
  constexpr std::int64_t kMaxRows = std::int64_t{65535} * kTileRows;
  for (std::int64_t begin = 0; begin < m; begin += kMaxRows) {
    const std::int64_t rows = std::min(kMaxRows, m - begin);
    const dim3 grid(static_cast<unsigned>((w.n + kColumns - 1) / kColumns),
                    static_cast<unsigned>((rows + kTileRows - 1) / kTileRows));
    WithStorageType(args.weight->storage(), [&](const auto* storage) {
      WithActivationType(args.x.dtype, [&](auto* x_type) {
        WithActivationType(args.y.dtype, [&](auto* y_type) {
          using W = std::remove_const_t<std::remove_pointer_t<decltype(storage)>>;
          using X = std::remove_pointer_t<decltype(x_type)>;
          using Y = std::remove_pointer_t<decltype(y_type)>;
          LinearKernel<W, X, Y><<<grid, kColumns, 0, stream.handle()>>>(
              w, args.x.As<const X>() + begin * x_stride, x_stride, rows,
              args.y.As<Y>() + begin * y_stride, y_stride);
        });
      });
    });
  }
  return LaunchStatus("linear");
}

}  // namespace moesaic::kernels::cuda
