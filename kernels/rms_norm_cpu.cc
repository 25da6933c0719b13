#include <cmath>
#include <cstdint>

#include "kernels/backends.h"
#include "kernels/rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rms_norm_cpu.cc"
#include "kernels/simd_targets.h"
// After simd_targets.h.
#include "hwy/foreach_target.h"
#include "kernels/simd_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moesaic::kernels {
namespace HWY_NAMESPACE {

template <class W, class Y>
HWY_INLINE void NormOne(const float* x, const W* weight, std::int64_t n, float eps, Y* y) {
  const float mean = LaneDot(x, x, n) / static_cast<float>(n);
  const float r = 1.0f / std::sqrt(mean + eps);
  const VF scale = hn::Set(DF(), r);
  std::int64_t i = 0;
  for (; i + static_cast<std::int64_t>(kVectorLanes) <= n; i += kVectorLanes) {
    StoreAs(hn::Mul(hn::Mul(LoadF32(x + i), scale), LoadAs(weight + i)), y + i);
  }
  for (; i < n; ++i) StoreScalar((x[i] * r) * ToFloat(weight[i]), y + i);
}

template <class W, class Y>
HWY_INLINE void NormRowsAs(const RmsNormArgs& args, std::int64_t begin, std::int64_t end) {
  const std::int64_t n = args.weight.dim(0);
  const std::int64_t heads = args.x.rank == 3 ? args.x.dim(1) : 1;
  const std::int64_t x_stride = StrideOr(args.x_row_stride, heads * n);
  const std::int64_t y_stride = StrideOr(args.y_row_stride, heads * n);
  for (std::int64_t row = begin; row < end; ++row) {
    for (std::int64_t head = 0; head < heads; ++head) {
      NormOne(args.x.As<const float>() + row * x_stride + head * n, args.weight.As<const W>(), n,
              args.eps, args.y.As<Y>() + row * y_stride + head * n);
    }
  }
}

void NormRows(const RmsNormArgs& args, std::int64_t begin, std::int64_t end) {
  const bool weight_f32 = args.weight.dtype == base::DType::kF32;
  const bool y_f32 = args.y.dtype == base::DType::kF32;
  if (weight_f32 && y_f32) return NormRowsAs<float, float>(args, begin, end);
  if (weight_f32) return NormRowsAs<float, std::uint16_t>(args, begin, end);
  if (y_f32) return NormRowsAs<std::uint16_t, float>(args, begin, end);
  return NormRowsAs<std::uint16_t, std::uint16_t>(args, begin, end);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace moesaic::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moesaic::kernels {
HWY_EXPORT(NormRows);

void cpu::Run(const RmsNormArgs& args, base::ComputePool& pool) {
  const std::int64_t rows = args.x.dim(0);
  const std::int64_t width = rows == 0 ? 0 : args.x.elements() / rows;
  ParallelRows(pool, rows, width, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(NormRows)(args, begin, end);
  });
}

}  // namespace moesaic::kernels
#endif  // HWY_ONCE
