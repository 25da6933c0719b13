#pragma once

#include <cstdint>

/// Calls the vector functions of kernels/simd_math-inl.h on the active SIMD target.
namespace moesaic::kernels {

enum class SimdMathProbe { kExp, kSilu, kLog, kRoundToBF16 };

/// y[i] = f(x[i]); n a multiple of 16.
void RunSimdMathProbe(SimdMathProbe probe, const float* x, std::int64_t n, float* y);
/// Floats in a vector of the target that dispatch chooses.
int SimdVectorLanes();
float SimdLaneSum(const float* x, std::int64_t n);
float SimdLaneDot(const float* a, const float* b, std::int64_t n);

}  // namespace moesaic::kernels
