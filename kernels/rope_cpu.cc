#include <cstdint>

#include "kernels/backends.h"
#include "kernels/rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rope_cpu.cc"
#include "kernels/simd_targets.h"
// After simd_targets.h.
#include "hwy/foreach_target.h"
#include "kernels/simd_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moesaic::kernels {
namespace HWY_NAMESPACE {

template <class Y>
HWY_INLINE void RotatePair(float a, float b, float cos, float sin, Y* first, Y* second) {
  StoreScalar(std::fma(a, cos, -(b * sin)), first);
  StoreScalar(std::fma(b, cos, a * sin), second);
}

/// A vector of pairs at a time, whose halves are apart.
template <class Y>
HWY_INLINE void RotateHalfSplit(const float* x, const float* cos, const float* sin,
                                std::int64_t pairs, Y* y) {
  std::int64_t i = 0;
  for (; i + static_cast<std::int64_t>(kVectorLanes) <= pairs; i += kVectorLanes) {
    const VF a = LoadF32(x + i);
    const VF b = LoadF32(x + pairs + i);
    const VF c = LoadF32(cos + i);
    const VF s = LoadF32(sin + i);
    StoreAs(Fma(a, c, hn::Neg(hn::Mul(b, s))), y + i);
    StoreAs(Fma(b, c, hn::Mul(a, s)), y + pairs + i);
  }
  for (; i < pairs; ++i) RotatePair(x[i], x[pairs + i], cos[i], sin[i], y + i, y + pairs + i);
}

/// Pair by pair: a rope of 64 values is too short for the shuffles to matter.
template <class Y>
HWY_INLINE void RotateInterleaved(const float* x, const float* cos, const float* sin,
                                  std::int64_t pairs, Y* y) {
  for (std::int64_t i = 0; i < pairs; ++i) {
    RotatePair(x[2 * i], x[2 * i + 1], cos[i], sin[i], y + 2 * i, y + 2 * i + 1);
  }
}

template <class Y>
HWY_INLINE void RopeRowsAs(const RopeArgs& args, std::int64_t begin, std::int64_t end) {
  const std::int64_t heads = args.x.dim(1);
  const std::int64_t pairs = args.table->dim() / 2;
  const std::int64_t x_head = StrideOr(args.x_head_stride, 2 * pairs);
  const std::int64_t y_head = StrideOr(args.y_head_stride, 2 * pairs);
  const std::int64_t x_row = StrideOr(args.x_row_stride, heads * x_head);
  const std::int64_t y_row = StrideOr(args.y_row_stride, heads * y_head);
  for (std::int64_t row = begin; row < end; ++row) {
    const std::int64_t entry = args.positions.As<const std::int32_t>()[row] * pairs;
    const float* cos = args.table->cos() + entry;
    const float* sin = args.table->sin() + entry;
    for (std::int64_t head = 0; head < heads; ++head) {
      const float* x = args.x.As<const float>() + row * x_row + head * x_head;
      Y* y = args.y.As<Y>() + row * y_row + head * y_head;
      if (args.pairing == RopePairing::kInterleaved) {
        RotateInterleaved(x, cos, sin, pairs, y);
      } else {
        RotateHalfSplit(x, cos, sin, pairs, y);
      }
    }
  }
}

void RopeRows(const RopeArgs& args, std::int64_t begin, std::int64_t end) {
  if (args.y.dtype == base::DType::kF32) return RopeRowsAs<float>(args, begin, end);
  return RopeRowsAs<std::uint16_t>(args, begin, end);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace moesaic::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moesaic::kernels {
HWY_EXPORT(RopeRows);

void cpu::Run(const RopeArgs& args, base::ComputePool& pool) {
  ParallelRows(pool, args.x.dim(0), args.x.dim(1) * args.x.dim(2),
               [&](std::int64_t begin, std::int64_t end) {
                 HWY_DYNAMIC_DISPATCH(RopeRows)(args, begin, end);
               });
}

}  // namespace moesaic::kernels
#endif  // HWY_ONCE
