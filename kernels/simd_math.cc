#include "kernels/simd_math.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/simd_math_constants.h"

namespace moesaic::kernels {
namespace {

constexpr int kLanes = 16;

/// 2^n, n in [-127, 127] (n = -127 gives 0).
float PowerOfTwo(std::int32_t n) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(n + 127) << 23);
}

/// lane j += lane j + half, for half = 8, 4, 2, 1.
float TreeSum(float (&lanes)[kLanes]) {
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int j = 0; j < half; ++j) lanes[j] += lanes[j + half];
  }
  return lanes[0];
}

}  // namespace

float Exp(float x) {
  if (x < math::kExpMin) return 0.0f;
  if (x > math::kExpMax) return std::numeric_limits<float>::infinity();
  const float t = std::fmaf(x, math::kLog2E, math::kRoundMagic);
  const float n = t - math::kRoundMagic;
  float r = std::fmaf(n, -math::kLn2High, x);
  r = std::fmaf(n, -math::kLn2Low, r);
  float p = math::kExpPoly[0];
  for (int i = 1; i < 6; ++i) p = std::fmaf(p, r, math::kExpPoly[i]);
  const float y = std::fmaf(p, r * r, r) + 1.0f;
  // 2^n in two factors: n reaches 128.
  const auto exponent = static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(t) -
                                                  std::bit_cast<std::uint32_t>(math::kRoundMagic));
  const std::int32_t half = exponent >> 1;
  return y * PowerOfTwo(half) * PowerOfTwo(exponent - half);
}

float Sigmoid(float x) { return 1.0f / (1.0f + Exp(-x)); }

float Silu(float x) { return x * Sigmoid(x); }

float Log(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  // Exponent of x relative to [sqrt(1/2), sqrt(2)), arithmetic shift.
  const auto shifted = static_cast<std::int32_t>(bits - math::kSqrtHalfBits);
  const std::int32_t exponent = shifted >> 23;
  const float mantissa = std::bit_cast<float>(bits - (static_cast<std::uint32_t>(exponent) << 23));
  const float y = mantissa - 1.0f;
  const float z = y * y;
  float p = math::kLogPoly[0];
  for (int i = 1; i < 9; ++i) p = std::fmaf(p, y, math::kLogPoly[i]);
  const auto e = static_cast<float>(exponent);
  float r = std::fmaf(e, math::kLn2Low, (y * z) * p);
  r = std::fmaf(z, -0.5f, r);
  return std::fmaf(e, math::kLn2High, y + r);
}

float LaneSum(const float* x, std::int64_t n) {
  float lanes[kLanes] = {};
  for (std::int64_t i = 0; i < n; ++i) lanes[i % kLanes] += x[i];
  return TreeSum(lanes);
}

float LaneSumOfSquares(const float* x, std::int64_t n) { return LaneDot(x, x, n); }

float LaneDot(const float* a, const float* b, std::int64_t n) {
  float lanes[kLanes] = {};
  for (std::int64_t i = 0; i < n; ++i) lanes[i % kLanes] = std::fmaf(a[i], b[i], lanes[i % kLanes]);
  return TreeSum(lanes);
}

}  // namespace moesaic::kernels
