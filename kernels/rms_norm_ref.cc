#include <cmath>
#include <cstdint>

#include "kernels/reference.h"
#include "kernels/rms_norm.h"
#include "kernels/rows.h"
#include "kernels/simd_math.h"

namespace moesaic::kernels {

void RmsNormReference(const RmsNormArgs& args) {
  const std::int64_t n = args.weight.dim(0);
  const std::int64_t heads = args.x.rank == 3 ? args.x.dim(1) : 1;
  const std::int64_t x_stride = StrideOr(args.x_row_stride, heads * n);
  const std::int64_t y_stride = StrideOr(args.y_row_stride, heads * n);
  for (std::int64_t row = 0; row < args.x.dim(0); ++row) {
    for (std::int64_t head = 0; head < heads; ++head) {
      const float* x = args.x.As<const float>() + row * x_stride + head * n;
      const float mean = LaneSumOfSquares(x, n) / static_cast<float>(n);
      const float r = 1.0f / std::sqrt(mean + args.eps);
      for (std::int64_t i = 0; i < n; ++i) {
        reference::Store((x[i] * r) * reference::Load(args.weight, i), args.y,
                         row * y_stride + head * n + i);
      }
    }
  }
}

}  // namespace moesaic::kernels
