// Elementwise pieces that several ops share, per target: include inside the part of a file that
// Highway compiles once per target.
#include <cstddef>
#include <cstdint>

#include "kernels/simd_math-inl.h"

#if defined(MOESAIC_KERNELS_ELEMENTWISE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MOESAIC_KERNELS_ELEMENTWISE_INL_H_
#undef MOESAIC_KERNELS_ELEMENTWISE_INL_H_
#else
#define MOESAIC_KERNELS_ELEMENTWISE_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace moesaic::kernels {
namespace HWY_NAMESPACE {

/// vector(i) for every whole vector of [0, n), then scalar(i) for every element left.
template <class Vector, class Scalar>
HWY_INLINE void ForEachLane(std::int64_t n, Vector vector, Scalar scalar) {
  std::int64_t i = 0;
  for (; i + static_cast<std::int64_t>(kVectorLanes) <= n; i += kVectorLanes) vector(i);
  for (; i < n; ++i) scalar(i);
}

/// y[i] = silu(gate_up[i]) * gate_up[n + i].
template <class Y>
HWY_INLINE void SiluMulRow(const float* gate_up, std::int64_t n, Y* y) {
  ForEachLane(
      n,
      [=](std::int64_t i) HWY_ATTR {
        StoreAs(hn::Mul(Silu(LoadF32(gate_up + i)), LoadF32(gate_up + n + i)), y + i);
      },
      [=](std::int64_t i)
          HWY_ATTR { StoreScalar(kernels::Silu(gate_up[i]) * gate_up[n + i], y + i); });
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace moesaic::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
