#include "tests/unit/kernels/simd_math_probe.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/unit/kernels/simd_math_probe.cc"
#include "kernels/simd_targets.h"
// After simd_targets.h.
#include "hwy/foreach_target.h"
#include "kernels/simd_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moesaic::kernels {
namespace HWY_NAMESPACE {

HWY_INLINE VF Probe(SimdMathProbe probe, VF x) {
  switch (probe) {
    case SimdMathProbe::kExp:
      return Exp(x);
    case SimdMathProbe::kSilu:
      return Silu(x);
    case SimdMathProbe::kLog:
      return Log(x);
    case SimdMathProbe::kRoundToBF16:
      break;
  }
  std::uint16_t rounded[kLanes16];
  StoreBF16(x, rounded);
  return LoadBF16(rounded);
}

void ProbeAll(SimdMathProbe probe, const float* x, std::int64_t n, float* y) {
  for (std::int64_t i = 0; i < n; i += kVectorLanes) StoreF32(Probe(probe, LoadF32(x + i)), y + i);
}

int ProbeLanes() { return static_cast<int>(kVectorLanes); }
float ProbeSum(const float* x, std::int64_t n) { return LaneSum(x, n); }
float ProbeDot(const float* a, const float* b, std::int64_t n) { return LaneDot(a, b, n); }

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace moesaic::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moesaic::kernels {
HWY_EXPORT(ProbeAll);
HWY_EXPORT(ProbeLanes);
HWY_EXPORT(ProbeSum);
HWY_EXPORT(ProbeDot);

void RunSimdMathProbe(SimdMathProbe probe, const float* x, std::int64_t n, float* y) {
  HWY_DYNAMIC_DISPATCH(ProbeAll)(probe, x, n, y);
}
int SimdVectorLanes() { return HWY_DYNAMIC_DISPATCH(ProbeLanes)(); }
float SimdLaneSum(const float* x, std::int64_t n) { return HWY_DYNAMIC_DISPATCH(ProbeSum)(x, n); }
float SimdLaneDot(const float* a, const float* b, std::int64_t n) {
  return HWY_DYNAMIC_DISPATCH(ProbeDot)(a, b, n);
}

}  // namespace moesaic::kernels
#endif  // HWY_ONCE
