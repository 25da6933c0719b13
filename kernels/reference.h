#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/dtype.h"
#include "base/tensor.h"
#include "kernels/flush_subnormals.h"
#include "kernels/packed_matrix.h"

/// Element access for the plain-loop definitions of ops (`*_ref.cc`), where clarity is all that
/// counts. Host memory only.
namespace moesaic::kernels::reference {

/// Element `index` of a f32, bf16 or f16 tensor's memory, widened.
float Load(const base::TensorView& tensor, std::int64_t index);
/// Rounds once to the tensor's type, f32 or bf16.
void Store(float value, const base::TensorView& tensor, std::int64_t index);
/// What is stored for W[n, k], widened, and its scale: 1 but for fp8 and i8.
float StoredAt(const PackedMatrix& matrix, std::int64_t n, std::int64_t k);
float ScaleAt(const PackedMatrix& matrix, std::int64_t n, std::int64_t k);
/// W[n, k]: their product.
inline float WeightAt(const PackedMatrix& matrix, std::int64_t n, std::int64_t k) {
  return StoredAt(matrix, n, k) * ScaleAt(matrix, n, k);
}
/// Output n of an i8 matrix for x quantised group by group: the chain of fused multiply-adds of
/// each group's exact sum of products and (x's scale * W's scale).
float Int8MatmulOutput(const PackedMatrix& matrix, std::int64_t n, const float* x);
/// Output n as kernels/linear.h defines it, for inputs x(k) that were widened from x_dtype.
template <class X>
float MatmulOutput(const PackedMatrix& matrix, std::int64_t n, base::DType x_dtype, X x) {
  using base::DType;
  const DType storage = matrix.storage();
  if (storage == DType::kI8) {
    std::vector<float> row(matrix.k());
    for (std::int64_t k = 0; k < matrix.k(); ++k) row[k] = x(k);
    return Int8MatmulOutput(matrix, n, row.data());
  }
  const FlushSubnormals flush(x_dtype == DType::kBF16 && storage != DType::kF32);
  const bool scaled = storage == DType::kF8E4M3;
  const std::int64_t block = scaled ? PackedMatrix::kScaleBlock : matrix.k();
  float output = 0.0f;
  for (std::int64_t begin = 0; begin < matrix.k(); begin += block) {
    float sum = 0.0f;
    for (std::int64_t k = begin; k < std::min(begin + block, matrix.k()); ++k) {
      sum = std::fmaf(x(k), StoredAt(matrix, n, k), sum);
    }
    output = scaled ? std::fmaf(sum, ScaleAt(matrix, n, begin), output) : sum;
  }
  return output;
}

}  // namespace moesaic::kernels::reference
