#include <cstdint>

#include "kernels/backends.h"
#include "kernels/cuda_error.h"
#include "kernels/cuda_math.cuh"
#include "kernels/rows.h"

namespace moesaic::kernels::cuda {
namespace {

/// The logical lanes of a reduction, a thread each.
constexpr int kLanes = 16;
constexpr int kHeadsPerBlock = 8;

struct Layout {
  std::int64_t count;  // rows * heads
  std::int64_t heads;
  std::int64_t n;
  std::int64_t x_stride;
  std::int64_t y_stride;
};

template <class G, class Y>
__global__ void RmsNormKernel(Layout layout, const float* x, const G* weight, float eps, Y* y) {
  const std::int64_t index =
      static_cast<std::int64_t>(blockIdx.x) * kHeadsPerBlock + threadIdx.x / kLanes;
  const int lane = threadIdx.x % kLanes;
  if (index >= layout.count) return;  // whole groups of 16 leave together
  const std::int64_t row = index / layout.heads;
  const std::int64_t head = index % layout.heads;
  const float* from = x + row * layout.x_stride + head * layout.n;
  Y* to = y + row * layout.y_stride + head * layout.n;
  float sum = 0.0f;
  for (std::int64_t i = lane; i < layout.n; i += kLanes) sum = __fmaf_rn(from[i], from[i], sum);
  const unsigned group = 0xFFFFu << (threadIdx.x % 32 / kLanes * kLanes);
  for (int half = kLanes / 2; half > 0; half /= 2) {
    sum = __fadd_rn(sum, __shfl_down_sync(group, sum, half, kLanes));
  }
  sum = __shfl_sync(group, sum, 0, kLanes);
  const float mean = __fdiv_rn(sum, static_cast<float>(layout.n));
  const float r = __fdiv_rn(1.0f, __fsqrt_rn(__fadd_rn(mean, eps)));
  for (std::int64_t i = lane; i < layout.n; i += kLanes) {
    StoreRounded(__fmul_rn(__fmul_rn(from[i], r), Widen(weight[i])), to + i);
  }
}

}  // namespace

absl::Status Run(const RmsNormArgs& args, CudaStream& stream) {
  Layout layout = {};
  layout.n = args.weight.dim(0);
  layout.heads = args.x.rank == 3 ? args.x.dim(1) : 1;
  layout.count = args.x.dim(0) * layout.heads;
  layout.x_stride = StrideOr(args.x_row_stride, layout.heads * layout.n);
  layout.y_stride = StrideOr(args.y_row_stride, layout.heads * layout.n);
  if (layout.count == 0) return absl::OkStatus();
  DeviceScope scope(stream.device().index);
  const auto blocks = static_cast<unsigned>((layout.count + kHeadsPerBlock - 1) / kHeadsPerBlock);
  WithActivationType(args.weight.dtype, [&](auto* weight_type) {
    WithActivationType(args.y.dtype, [&](auto* y_type) {
      using G = std::remove_pointer_t<decltype(weight_type)>;
      using Y = std::remove_pointer_t<decltype(y_type)>;
      RmsNormKernel<G, Y><<<blocks, kHeadsPerBlock * kLanes, 0, stream.handle()>>>(
          layout, args.x.As<const float>(), args.weight.As<const G>(), args.eps, args.y.As<Y>());
    });
  });
  return LaunchStatus("rms_norm");
}

}  // namespace moesaic::kernels::cuda
