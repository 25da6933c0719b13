#pragma once

#include <cstdint>

/// f32 functions whose bits are part of every kernel's contract: the scalar definitions of what
/// kernels/simd_math-inl.h computes in vectors, equal bit for bit. They use fused multiply-adds and
/// operations that IEEE 754 rounds correctly, nothing of libm. Pure; thread-safe.
namespace moesaic::kernels {

/// e^x; largest error 1 ulp or so. Below about -87.3 it is 0, above about 88.7 infinity.
float Exp(float x);
/// 1 / (1 + e^-x).
float Sigmoid(float x);
/// x * Sigmoid(x).
float Silu(float x);
/// Natural logarithm. Requires: x positive and normal.
float Log(float x);

/// Sum of n floats in 16 logical lanes, then the tree 8, 4, 2, 1 (docs/decisions/0002-numerics.md).
float LaneSum(const float* x, std::int64_t n);
/// Sum of squares, in the same order, one FMA per element.
float LaneSumOfSquares(const float* x, std::int64_t n);
/// Sum of a[i] * b[i], in the same order, one FMA per element.
float LaneDot(const float* a, const float* b, std::int64_t n);

}  // namespace moesaic::kernels
