#include "kernels/row_convert.h"

#include <algorithm>
#include <cmath>

#include "base/dtype.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/row_convert.cc"
#include "kernels/simd_targets.h"
// After simd_targets.h.
#include "hwy/foreach_target.h"
#include "kernels/elementwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moesaic::kernels {
namespace HWY_NAMESPACE {

inline constexpr float kFp8Max = 448.0f;
inline constexpr float kMinAmax = 1e-4f;
inline constexpr float kMaxAmax = 0x1p127f;
/// Lanes as the signed type of the loops.
inline constexpr auto kStep = static_cast<std::int64_t>(kVectorLanes);

/// Largest |x| of [n], at least kMinAmax and at most kMaxAmax. A maximum has one value in any
/// order.
template <class X>
HWY_INLINE float Amax(const X* x, std::int64_t n) {
  VF most = hn::Set(DF(), kMinAmax);
  std::int64_t i = 0;
  for (; i + kStep <= n; i += kStep) {
    const VF v = hn::Abs(LoadAs(x + i));
    most = hn::IfThenElse(hn::Gt(v, most), v, most);  // false for not-a-number
  }
  float amax = hn::GetLane(hn::MaxOfLanes(DF(), most));
  for (; i < n; ++i) {
    const float v = std::fabs(ToFloat(x[i]));
    if (v > amax) amax = v;
  }
  return std::min(amax, kMaxAmax);
}

/// As base::F32ToF8E4M3.
HWY_INLINE void StoreF8(VF v, std::uint8_t* p) {
  const DU du;
  const auto bits = hn::BitCast(du, v);
  const auto sign = hn::And(hn::ShiftRight<24>(bits), hn::Set(du, 0x80u));
  const auto magnitude = hn::And(bits, hn::Set(du, 0x7FFFFFFFu));
  const auto odd = hn::And(hn::ShiftRight<20>(magnitude), hn::Set(du, 1u));
  const auto rounded = hn::Add(magnitude, hn::Add(odd, hn::Set(du, 0x7FFFFu)));
  const auto normal =
      hn::Min(hn::Sub(hn::ShiftRight<20>(rounded), hn::Set(du, 120u << 3)), hn::Set(du, 0x7Eu));
  // Subnormals are multiples of 2^-9, the last bit of a sum with 2^14: the addition rounds.
  const VF big = hn::Set(DF(), 0x1p14f);
  const auto small = hn::Sub(hn::BitCast(du, hn::Add(hn::Abs(v), big)), hn::BitCast(du, big));
  const auto is_small = hn::RebindMask(du, hn::Lt(hn::Abs(v), hn::Set(DF(), 0x1p-6f)));
  const auto is_nan = hn::RebindMask(du, hn::IsNaN(v));
  const auto code =
      hn::IfThenElse(is_nan, hn::Set(du, 0x7Fu), hn::IfThenElse(is_small, small, normal));
  hn::StoreU(hn::TruncateTo(DU8(), hn::Or(sign, code)), DU8(), p);
}

/// As base::F8E4M3ToF32.
HWY_INLINE VF LoadF8(const std::uint8_t* p) {
  const DU du;
  const auto wide = hn::PromoteTo(du, hn::LoadU(DU8(), p));
  const auto sign = hn::ShiftLeft<24>(hn::And(wide, hn::Set(du, 0x80u)));
  const auto code = hn::And(wide, hn::Set(du, 0x7Fu));
  const auto normal = hn::ShiftLeft<20>(hn::Add(code, hn::Set(du, 120u << 3)));
  const auto small = hn::BitCast(
      du, hn::Mul(hn::ConvertTo(DF(), hn::BitCast(DI(), code)), hn::Set(DF(), 0x1p-9f)));
  const auto is_small = hn::Lt(code, hn::Set(du, 8u));
  const auto is_nan = hn::Eq(code, hn::Set(du, 0x7Fu));
  const auto value =
      hn::IfThenElse(is_nan, hn::Set(du, 0x7FC00000u), hn::IfThenElse(is_small, small, normal));
  return hn::BitCast(DF(), hn::Or(sign, value));
}

template <class X>
HWY_INLINE void QuantizeRow(const X* x, std::int64_t n, std::uint8_t* q, float* scales) {
  for (std::int64_t begin = 0; begin < n; begin += kFp8RowBlock) {
    const std::int64_t count = std::min(kFp8RowBlock, n - begin);
    const float scale = Amax(x + begin, count) / kFp8Max;
    const VF divisor = hn::Set(DF(), scale);
    *scales++ = scale;
    ForEachLane(
        count,
        [&](std::int64_t i)
            HWY_ATTR { StoreF8(hn::Div(LoadAs(x + begin + i), divisor), q + begin + i); },
        [&](std::int64_t i)
            HWY_ATTR { q[begin + i] = base::F32ToF8E4M3(ToFloat(x[begin + i]) / scale); });
  }
}

template <class Y>
HWY_INLINE void DequantizeRow(const std::uint8_t* q, const float* scales, std::int64_t n, Y* y) {
  for (std::int64_t begin = 0; begin < n; begin += kFp8RowBlock) {
    const float scale = *scales++;
    const VF factor = hn::Set(DF(), scale);
    ForEachLane(
        std::min(kFp8RowBlock, n - begin),
        [&](std::int64_t i)
            HWY_ATTR { StoreAs(hn::Mul(LoadF8(q + begin + i), factor), y + begin + i); },
        [&](std::int64_t i)
            HWY_ATTR { StoreScalar(base::F8E4M3ToF32(q[begin + i]) * scale, y + begin + i); });
  }
}

void QuantizeF32Row(const float* x, std::int64_t n, std::uint8_t* q, float* scales) {
  QuantizeRow(x, n, q, scales);
}
void QuantizeBF16Row(const std::uint16_t* x, std::int64_t n, std::uint8_t* q, float* scales) {
  QuantizeRow(x, n, q, scales);
}
void DequantizeToF32Row(const std::uint8_t* q, const float* scales, std::int64_t n, float* y) {
  DequantizeRow(q, scales, n, y);
}
void DequantizeToBF16Row(const std::uint8_t* q, const float* scales, std::int64_t n,
                         std::uint16_t* y) {
  DequantizeRow(q, scales, n, y);
}

template <class X, class Y>
HWY_INLINE void ConvertRow(const X* x, std::int64_t n, Y* y) {
  ForEachLane(
      n, [=](std::int64_t i) HWY_ATTR { StoreAs(LoadAs(x + i), y + i); },
      [=](std::int64_t i) HWY_ATTR { StoreScalar(ToFloat(x[i]), y + i); });
}
void WidenBF16Row(const std::uint16_t* x, std::int64_t n, float* y) { ConvertRow(x, n, y); }
void RoundToBF16Row(const float* x, std::int64_t n, std::uint16_t* y) { ConvertRow(x, n, y); }

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace moesaic::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moesaic::kernels {

HWY_EXPORT(QuantizeF32Row);
HWY_EXPORT(QuantizeBF16Row);
HWY_EXPORT(DequantizeToF32Row);
HWY_EXPORT(DequantizeToBF16Row);
HWY_EXPORT(WidenBF16Row);
HWY_EXPORT(RoundToBF16Row);

void QuantizeFp8Row(const float* x, std::int64_t n, std::uint8_t* q, float* scales) {
  HWY_DYNAMIC_DISPATCH(QuantizeF32Row)(x, n, q, scales);
}
void QuantizeFp8Row(const std::uint16_t* x, std::int64_t n, std::uint8_t* q, float* scales) {
  HWY_DYNAMIC_DISPATCH(QuantizeBF16Row)(x, n, q, scales);
}
void DequantizeFp8Row(const std::uint8_t* q, const float* scales, std::int64_t n, float* y) {
  HWY_DYNAMIC_DISPATCH(DequantizeToF32Row)(q, scales, n, y);
}
void DequantizeFp8Row(const std::uint8_t* q, const float* scales, std::int64_t n,
                      std::uint16_t* y) {
  HWY_DYNAMIC_DISPATCH(DequantizeToBF16Row)(q, scales, n, y);
}
void WidenRow(const std::uint16_t* x, std::int64_t n, float* y) {
  HWY_DYNAMIC_DISPATCH(WidenBF16Row)(x, n, y);
}
void RoundRow(const float* x, std::int64_t n, std::uint16_t* y) {
  HWY_DYNAMIC_DISPATCH(RoundToBF16Row)(x, n, y);
}

}  // namespace moesaic::kernels
#endif  // HWY_ONCE
