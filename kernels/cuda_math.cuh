#pragma once

#include <cuda_fp16.h>

#include <cstdint>

#include "kernels/packed_matrix.h"
#include "kernels/simd_math_constants.h"

/// Device pieces with the bits of kernels/simd_math.h and kernels/linear.h: every rounding is asked
/// for by name, so that no compiler flag can change it.
namespace moesaic::kernels::cuda {

__device__ inline float Widen(float v) { return v; }
__device__ inline float Widen(std::uint16_t bf16) {
  return __uint_as_float(static_cast<std::uint32_t>(bf16) << 16);
}

__device__ inline void StoreRounded(float v, float* p) { *p = v; }
/// As base::F32ToBF16.
__device__ inline void StoreRounded(float v, std::uint16_t* p) {
  const std::uint32_t bits = __float_as_uint(v);
  const bool is_nan = (bits & 0x7FFFFFFFu) > 0x7F800000u;
  const std::uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  *p = static_cast<std::uint16_t>(is_nan ? (bits >> 16) | 0x40u : rounded);
}

__device__ inline float LoadWeight(const float* p) { return *p; }
__device__ inline float LoadWeight(const std::uint16_t* p) { return Widen(*p); }
/// e4m3 bits moved into f16's fields mean 2^-8 times as much, exactly.
__device__ inline float LoadWeight(const std::uint8_t* p) {
  const unsigned byte = *p;
  const auto f16 = static_cast<unsigned short>((byte & 0x80u) << 8 | (byte & 0x7Fu) << 7);
  return __fmul_rn(__half2float(__ushort_as_half(f16)), 256.0f);
}

/// A step of a chain of kernels/linear.h, for weights W and rows X.
template <class W, class X>
__device__ inline float ChainStep(float x, float weight, float sum) {
  if constexpr (sizeof(W) == 4 || sizeof(X) == 4) return __fmaf_rn(x, weight, sum);
  float next;
  asm("fma.rn.ftz.f32 %0, %1, %2, %3;" : "=f"(next) : "f"(x), "f"(weight), "f"(sum));
  return next;
}

/// 2^n, n in [-127, 127].
__device__ inline float PowerOfTwo(int n) {
  return __uint_as_float(static_cast<unsigned>(n + 127) << 23);
}

__device__ inline float Exp(float x) {
  constexpr float kPoly[] = {math::kExpPoly[0], math::kExpPoly[1], math::kExpPoly[2],
                             math::kExpPoly[3], math::kExpPoly[4], math::kExpPoly[5]};
  if (x < math::kExpMin) return 0.0f;
  if (x > math::kExpMax) return __uint_as_float(0x7F800000u);
  const float t = __fmaf_rn(x, math::kLog2E, math::kRoundMagic);
  const float n = __fsub_rn(t, math::kRoundMagic);
  float r = __fmaf_rn(n, -math::kLn2High, x);
  r = __fmaf_rn(n, -math::kLn2Low, r);
  float p = kPoly[0];
#pragma unroll
  for (int i = 1; i < 6; ++i) p = __fmaf_rn(p, r, kPoly[i]);
  const float y = __fadd_rn(__fmaf_rn(p, __fmul_rn(r, r), r), 1.0f);
  const int exponent = static_cast<int>(__float_as_uint(t) - __float_as_uint(math::kRoundMagic));
  const int half = exponent >> 1;
  return __fmul_rn(__fmul_rn(y, PowerOfTwo(half)), PowerOfTwo(exponent - half));
}

__device__ inline float Silu(float x) {
  const float sigmoid = __fdiv_rn(1.0f, __fadd_rn(1.0f, Exp(-x)));
  return __fmul_rn(x, sigmoid);
}

/// A PackedMatrix as kernels take it.
struct MatrixView {
  const void* data;
  const float* scales;
  std::int64_t n;
  std::int64_t k;
  std::int64_t scale_blocks;
};

inline MatrixView ViewOf(const PackedMatrix& matrix) {
  return {matrix.data(), matrix.scales(), matrix.n(), matrix.k(), matrix.scale_blocks()};
}

/// Threads of a matmul block: one output column each, so a warp reads two panels.
constexpr int kColumns = 128;
/// Rows whose chains a thread carries: weights are read once for all of them.
constexpr int kTileRows = 8;
/// Inputs staged in shared memory at a time: one fp8 scale block.
constexpr int kStage = static_cast<int>(PackedMatrix::kScaleBlock);

/// acc[r] = the chain of output n over row rows[r], for r < count; k ascending, as the host's. All
/// threads of the block call it together; those with n beyond the matrix only stage.
/// W, X: storage type of weights and activations. stage: shared [kTileRows][kStage].
template <class W, class X>
__device__ void MultiplyColumn(const MatrixView& w, std::int64_t n, const X* const* rows, int count,
                               float (*stage)[kStage], float* acc) {
  constexpr std::int64_t kPanel = PackedMatrix::kPanel;
  const bool active = n < w.n;
  const std::int64_t panel = active ? n / kPanel : 0;
  const std::int64_t lane = active ? n % kPanel : 0;
  const W* weights = static_cast<const W*>(w.data) + panel * w.k * kPanel + lane;
#pragma unroll
  for (int r = 0; r < kTileRows; ++r) acc[r] = 0.0f;
  for (std::int64_t begin = 0; begin < w.k; begin += kStage) {
    const int inputs = static_cast<int>(min(static_cast<std::int64_t>(kStage), w.k - begin));
    __syncthreads();
    for (int r = 0; r < count; ++r) {
      for (int i = threadIdx.x; i < inputs; i += blockDim.x)
        stage[r][i] = Widen(rows[r][begin + i]);
    }
    __syncthreads();
    if (!active) continue;
    constexpr bool kScaled = sizeof(W) == 1;
    float block[kTileRows];
#pragma unroll
    for (int r = 0; r < kTileRows; ++r) block[r] = kScaled ? 0.0f : acc[r];
#pragma unroll 4
    for (int i = 0; i < inputs; ++i) {
      const float weight = LoadWeight(weights + (begin + i) * kPanel);
#pragma unroll
      for (int r = 0; r < kTileRows; ++r) block[r] = ChainStep<W, X>(stage[r][i], weight, block[r]);
    }
    const float scale =
        kScaled ? w.scales[(panel * w.scale_blocks + begin / kStage) * kPanel + lane] : 1.0f;
#pragma unroll
    for (int r = 0; r < kTileRows; ++r) {
      acc[r] = kScaled ? ChainStep<W, X>(block[r], scale, acc[r]) : block[r];
    }
  }
}

/// Calls launch with a null pointer of the storage's element type.
template <class Launch>
void WithStorageType(base::DType storage, Launch launch) {
  if (storage == base::DType::kF32) {
    launch(static_cast<const float*>(nullptr));
  } else if (storage == base::DType::kBF16) {
    launch(static_cast<const std::uint16_t*>(nullptr));
  } else {
    launch(static_cast<const std::uint8_t*>(nullptr));
  }
}

/// The same for an activation, f32 or bf16.
template <class Launch>
void WithActivationType(base::DType dtype, Launch launch) {
  if (dtype == base::DType::kF32) {
    launch(static_cast<float*>(nullptr));
  } else {
    launch(static_cast<std::uint16_t*>(nullptr));
  }
}

}  // namespace moesaic::kernels::cuda
