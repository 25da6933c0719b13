// Per-target vector building blocks of all kernels: include inside the part of a file that Highway
// compiles once per target (after foreach_target.h). Scalar definitions: kernels/simd_math.h.
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "base/dtype.h"
#include "kernels/simd_math.h"
#include "kernels/simd_math_constants.h"
#include "kernels/simd_targets.h"
// After simd_targets.h.
#include "hwy/highway.h"

#if defined(MOESAIC_KERNELS_SIMD_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MOESAIC_KERNELS_SIMD_MATH_INL_H_
#undef MOESAIC_KERNELS_SIMD_MATH_INL_H_
#else
#define MOESAIC_KERNELS_SIMD_MATH_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace moesaic::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// A vector of at most 16 floats: the widest that divides a panel and the 16 logical lanes.
using DF = hn::CappedTag<float, 16>;
using VF = hn::Vec<DF>;
using DI = hn::Rebind<std::int32_t, DF>;
using DU = hn::Rebind<std::uint32_t, DF>;
using DU16 = hn::Rebind<std::uint16_t, DF>;
using DU8 = hn::Rebind<std::uint8_t, DF>;
using DI8 = hn::Rebind<std::int8_t, DF>;

inline constexpr std::size_t kLanes16 = 16;
/// Lanes of VF.
inline constexpr std::size_t kVectorLanes = hn::MaxLanes(DF());
/// Vectors that make 16 lanes.
inline constexpr std::size_t kVectorsPer16 = kLanes16 / kVectorLanes;

/// a * b + c, rounded once, on every target.
HWY_INLINE VF Fma(VF a, VF b, VF c) {
#if HWY_TARGET == HWY_SCALAR
  return VF(std::fma(a.raw, b.raw, c.raw));
#elif HWY_TARGET == HWY_EMU128
  for (std::size_t i = 0; i < kVectorLanes; ++i) {
    c.raw[i] = std::fma(a.raw[i], b.raw[i], c.raw[i]);
  }
  return c;
#else
  return hn::MulAdd(a, b, c);
#endif
}

// ---- loads and stores

HWY_INLINE VF LoadF32(const float* p) { return hn::LoadU(DF(), p); }
HWY_INLINE void StoreF32(VF v, float* p) { hn::StoreU(v, DF(), p); }

HWY_INLINE VF WidenBF16(hn::Vec<DU16> v) {
  return hn::BitCast(DF(), hn::ShiftLeft<16>(hn::PromoteTo(DU(), v)));
}
HWY_INLINE VF LoadBF16(const std::uint16_t* p) { return WidenBF16(hn::LoadU(DU16(), p)); }

/// Rounds as base::F32ToBF16.
HWY_INLINE void StoreBF16(VF v, std::uint16_t* p) {
  const DU du;
  const auto bits = hn::BitCast(du, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1u));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7FFFu))));
  const auto quiet = hn::Or(hn::ShiftRight<16>(bits), hn::Set(du, 0x40u));
  const auto is_nan = hn::RebindMask(du, hn::IsNaN(v));
  hn::StoreU(hn::TruncateTo(DU16(), hn::IfThenElse(is_nan, quiet, rounded)), DU16(), p);
}

/// Element types in memory, so that one template serves both.
HWY_INLINE float ToFloat(float v) { return v; }
HWY_INLINE float ToFloat(std::uint16_t v) { return base::BF16ToF32(v); }
HWY_INLINE void StoreScalar(float v, float* p) { *p = v; }
HWY_INLINE void StoreScalar(float v, std::uint16_t* p) { *p = base::F32ToBF16(v); }
HWY_INLINE VF LoadAs(const float* p) { return LoadF32(p); }
HWY_INLINE VF LoadAs(const std::uint16_t* p) { return LoadBF16(p); }
HWY_INLINE void StoreAs(VF v, float* p) { StoreF32(v, p); }
HWY_INLINE void StoreAs(VF v, std::uint16_t* p) { StoreBF16(v, p); }

// ---- functions

/// 2^n in every lane, n in [-127, 127].
HWY_INLINE VF PowerOfTwo(hn::Vec<DI> n) {
  return hn::BitCast(DF(), hn::ShiftLeft<23>(hn::Add(n, hn::Set(DI(), 127))));
}

HWY_INLINE VF Exp(VF x) {
  const DF d;
  const VF magic = hn::Set(d, math::kRoundMagic);
  const VF t = Fma(x, hn::Set(d, math::kLog2E), magic);
  const VF n = hn::Sub(t, magic);
  VF r = Fma(n, hn::Set(d, -math::kLn2High), x);
  r = Fma(n, hn::Set(d, -math::kLn2Low), r);
  VF p = hn::Set(d, math::kExpPoly[0]);
  for (int i = 1; i < 6; ++i) p = Fma(p, r, hn::Set(d, math::kExpPoly[i]));
  const VF y = hn::Add(Fma(p, hn::Mul(r, r), r), hn::Set(d, 1.0f));
  const auto exponent = hn::Sub(hn::BitCast(DI(), t), hn::BitCast(DI(), magic));
  const auto half = hn::ShiftRight<1>(exponent);
  const VF e = hn::Mul(hn::Mul(y, PowerOfTwo(half)), PowerOfTwo(hn::Sub(exponent, half)));
  const VF infinity = hn::BitCast(d, hn::Set(DU(), 0x7F800000u));
  const VF bounded = hn::IfThenElse(hn::Gt(x, hn::Set(d, math::kExpMax)), infinity, e);
  return hn::IfThenElse(hn::Lt(x, hn::Set(d, math::kExpMin)), hn::Zero(d), bounded);
}

HWY_INLINE VF Sigmoid(VF x) {
  const VF one = hn::Set(DF(), 1.0f);
  return hn::Div(one, hn::Add(one, Exp(hn::Neg(x))));
}

HWY_INLINE VF Silu(VF x) { return hn::Mul(x, Sigmoid(x)); }

HWY_INLINE VF Log(VF x) {
  const DF d;
  const auto bits = hn::BitCast(DI(), x);
  const auto origin = hn::Set(DI(), static_cast<std::int32_t>(math::kSqrtHalfBits));
  const auto exponent = hn::ShiftRight<23>(hn::Sub(bits, origin));
  const VF mantissa = hn::BitCast(d, hn::Sub(bits, hn::ShiftLeft<23>(exponent)));
  const VF y = hn::Sub(mantissa, hn::Set(d, 1.0f));
  const VF z = hn::Mul(y, y);
  VF p = hn::Set(d, math::kLogPoly[0]);
  for (int i = 1; i < 9; ++i) p = Fma(p, y, hn::Set(d, math::kLogPoly[i]));
  const VF e = hn::ConvertTo(d, exponent);
  VF r = Fma(e, hn::Set(d, math::kLn2Low), hn::Mul(hn::Mul(y, z), p));
  r = Fma(z, hn::Set(d, -0.5f), r);
  return Fma(e, hn::Set(d, math::kLn2High), hn::Add(y, r));
}

// ---- 16 logical lanes

/// lane j += lane j + half for half = 8, 4, 2, 1; answers lane 0.
HWY_INLINE float TreeSum(float* lanes) {
  for (std::size_t half = kLanes16 / 2; half > 0; half /= 2) {
    for (std::size_t j = 0; j < half; ++j) lanes[j] += lanes[j + half];
  }
  return lanes[0];
}

/// Elements of n that fill all 16 lanes.
HWY_INLINE std::int64_t WholeRounds(std::int64_t n) {
  return n - n % static_cast<std::int64_t>(kLanes16);
}

/// kernels::LaneSum.
HWY_INLINE float LaneSum(const float* x, std::int64_t n) {
  const std::int64_t whole = WholeRounds(n);
  HWY_ALIGN float lanes[kLanes16];
  for (std::size_t lane = 0; lane < kLanes16; lane += kVectorLanes) {
    VF sum = hn::Zero(DF());
    for (std::int64_t i = 0; i < whole; i += kLanes16) sum = hn::Add(sum, LoadF32(x + i + lane));
    StoreF32(sum, lanes + lane);
  }
  for (std::int64_t i = whole; i < n; ++i) lanes[i - whole] += x[i];
  return TreeSum(lanes);
}

/// kernels::LaneDot, of f32 or bf16 operands.
template <class A, class B>
HWY_INLINE float LaneDot(const A* a, const B* b, std::int64_t n) {
  const std::int64_t whole = WholeRounds(n);
  HWY_ALIGN float lanes[kLanes16];
  for (std::size_t lane = 0; lane < kLanes16; lane += kVectorLanes) {
    VF sum = hn::Zero(DF());
    for (std::int64_t i = 0; i < whole; i += kLanes16) {
      sum = Fma(LoadAs(a + i + lane), LoadAs(b + i + lane), sum);
    }
    StoreF32(sum, lanes + lane);
  }
  for (std::int64_t i = whole; i < n; ++i) {
    lanes[i - whole] = std::fma(ToFloat(a[i]), ToFloat(b[i]), lanes[i - whole]);
  }
  return TreeSum(lanes);
}

/// out[r] = LaneDot of row r, [rows][stride] f32 or bf16, and b: kRows of them side by side, since
/// the sums of one wait for each other.
template <int kRows, class T>
HWY_INLINE void LaneDots(const T* rows, std::int64_t stride, const float* b, std::int64_t n,
                         float* out) {
  const std::int64_t whole = WholeRounds(n);
  HWY_ALIGN float lanes[kRows][kLanes16];
  for (std::size_t lane = 0; lane < kLanes16; lane += kVectorLanes) {
    VF sum[kRows];
    MOESAIC_UNROLL for (int r = 0; r < kRows; ++r) sum[r] = hn::Zero(DF());
    for (std::int64_t i = 0; i < whole; i += kLanes16) {
      const VF value = LoadF32(b + i + lane);
      MOESAIC_UNROLL for (int r = 0; r < kRows; ++r) {
        __builtin_prefetch(rows + (r + 2 * kRows) * stride + i + lane, 0, 2);
        sum[r] = Fma(LoadAs(rows + r * stride + i + lane), value, sum[r]);
      }
    }
    MOESAIC_UNROLL for (int r = 0; r < kRows; ++r) StoreF32(sum[r], lanes[r] + lane);
  }
  for (int r = 0; r < kRows; ++r) {
    for (std::int64_t i = whole; i < n; ++i) {
      lanes[r][i - whole] = std::fma(ToFloat(rows[r * stride + i]), b[i], lanes[r][i - whole]);
    }
    out[r] = TreeSum(lanes[r]);
  }
}

/// The larger of two; a NaN in `a` or `b` is not kept.
HWY_INLINE float MaxScalars(float a, float b) { return a > b ? a : b; }

/// Largest of n >= 0 values and `floor`.
HWY_INLINE float LaneMax(const float* x, std::int64_t n, float floor) {
  VF max = hn::Set(DF(), floor);
  const std::int64_t step = static_cast<std::int64_t>(kVectorLanes);
  std::int64_t i = 0;
  for (; i + step <= n; i += step) max = hn::Max(max, LoadF32(x + i));
  float largest = hn::GetLane(hn::MaxOfLanes(DF(), max));
  for (; i < n; ++i) largest = MaxScalars(largest, x[i]);
  return largest;
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace moesaic::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
