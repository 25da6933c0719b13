#pragma once

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
/// W[n, k] widened; for fp8 and i8 multiplied by its scale.
float WeightAt(const PackedMatrix& matrix, std::int64_t n, std::int64_t k);
/// Output n of an i8 matrix for x quantised group by group: the chain of fused multiply-adds of
/// each group's exact sum of products and (x's scale * W's scale).
float Int8MatmulOutput(const PackedMatrix& matrix, std::int64_t n, const float* x);
/// The chain of fused multiply-adds of output n: x(0) W[n, 0], then x(1) W[n, 1], … x_dtype: what
/// x(k) was widened from.
template <class X>
float MatmulOutput(const PackedMatrix& matrix, std::int64_t n, base::DType x_dtype, X x) {
  if (matrix.storage() == base::DType::kI8) {
    std::vector<float> row(matrix.k());
    for (std::int64_t k = 0; k < matrix.k(); ++k) row[k] = x(k);
    return Int8MatmulOutput(matrix, n, row.data());
  }
  const bool bf16 = x_dtype == base::DType::kBF16 && matrix.storage() == base::DType::kBF16;
  const FlushSubnormals flush(bf16);
  float sum = 0.0f;
  for (std::int64_t k = 0; k < matrix.k(); ++k) {
    sum = std::fmaf(x(k), WeightAt(matrix, n, k), sum);
  }
  return sum;
}

}  // namespace moesaic::kernels::reference
