#include <cstdint>

#include "kernels/linear.h"
#include "kernels/reference.h"
#include "kernels/rows.h"

namespace moesaic::kernels {

void LinearReference(const LinearArgs& args) {
  const PackedMatrix& w = *args.weight;
  const std::int64_t x_stride = StrideOr(args.x_row_stride, w.k());
  const std::int64_t y_stride = StrideOr(args.y_row_stride, w.n());
  for (std::int64_t row = 0; row < args.x.dim(0); ++row) {
    const auto x = [&](std::int64_t k) { return reference::Load(args.x, row * x_stride + k); };
    for (std::int64_t n = 0; n < w.n(); ++n) {
      reference::Store(reference::MatmulOutput(w, n, args.x.dtype, x), args.y, row * y_stride + n);
    }
  }
}

}  // namespace moesaic::kernels
