#include <cmath>
#include <cstdint>

#include "kernels/reference.h"
#include "kernels/rope.h"
#include "kernels/rows.h"

namespace moesaic::kernels {

void RopeReference(const RopeArgs& args) {
  const std::int64_t heads = args.x.dim(1);
  const std::int64_t pairs = args.table->dim() / 2;
  const std::int64_t x_head = StrideOr(args.x_head_stride, 2 * pairs);
  const std::int64_t y_head = StrideOr(args.y_head_stride, 2 * pairs);
  const std::int64_t x_row = StrideOr(args.x_row_stride, heads * x_head);
  const std::int64_t y_row = StrideOr(args.y_row_stride, heads * y_head);
  const bool interleaved = args.pairing == RopePairing::kInterleaved;
  for (std::int64_t row = 0; row < args.x.dim(0); ++row) {
    const std::int64_t entry = args.positions.As<const std::int32_t>()[row] * pairs;
    for (std::int64_t head = 0; head < heads; ++head) {
      const std::int64_t x0 = row * x_row + head * x_head;
      const std::int64_t y0 = row * y_row + head * y_head;
      for (std::int64_t i = 0; i < pairs; ++i) {
        const std::int64_t first = interleaved ? 2 * i : i;
        const std::int64_t second = interleaved ? 2 * i + 1 : i + pairs;
        const float a = reference::Load(args.x, x0 + first);
        const float b = reference::Load(args.x, x0 + second);
        const float c = args.table->cos()[entry + i];
        const float s = args.table->sin()[entry + i];
        reference::Store(std::fmaf(a, c, -(b * s)), args.y, y0 + first);
        reference::Store(std::fmaf(b, c, a * s), args.y, y0 + second);
      }
    }
  }
}

}  // namespace moesaic::kernels
