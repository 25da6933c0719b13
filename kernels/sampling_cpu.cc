#include "kernels/sampling_cpu.h"

#include <algorithm>
#include <cstdint>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/sampling_cpu.cc"
#include "kernels/simd_targets.h"
// After simd_targets.h.
#include "hwy/foreach_target.h"
#include "kernels/simd_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moesaic::kernels {
namespace HWY_NAMESPACE {

HWY_INLINE VF ShiftedExp(VF x, VF max, VF temperature) {
  return Exp(hn::Div(hn::Sub(x, max), temperature));
}

void ExpShiftedRow(float* p, std::int64_t n, float max, float temperature) {
  const auto step = static_cast<std::int64_t>(kVectorLanes);
  const VF m = hn::Set(DF(), max);
  const VF t = hn::Set(DF(), temperature);
  std::int64_t i = 0;
  for (; i + step <= n; i += step) StoreF32(ShiftedExp(LoadF32(p + i), m, t), p + i);
  if (i == n) return;
  float tail[kLanes16] = {};
  std::copy(p + i, p + n, tail);
  StoreF32(ShiftedExp(LoadF32(tail), m, t), tail);
  std::copy(tail, tail + (n - i), p + i);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace moesaic::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moesaic::kernels {

HWY_EXPORT(ExpShiftedRow);

void ExpShifted(absl::Span<float> p, float max, float temperature) {
  HWY_DYNAMIC_DISPATCH(ExpShiftedRow)
  (p.data(), static_cast<std::int64_t>(p.size()), max, temperature);
}

}  // namespace moesaic::kernels
#endif  // HWY_ONCE
