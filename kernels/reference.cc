#include "kernels/reference.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "kernels/int8.h"

namespace moesaic::kernels::reference {

using base::DType;

float Load(const base::TensorView& tensor, std::int64_t index) {
  const char* p = static_cast<const char*>(tensor.data) + index * base::DTypeBytes(tensor.dtype);
  if (tensor.dtype == DType::kF32) {
    float value;
    std::memcpy(&value, p, sizeof(value));
    return value;
  }
  std::uint16_t bits;
  std::memcpy(&bits, p, sizeof(bits));
  if (tensor.dtype == DType::kBF16) return base::BF16ToF32(bits);
  MOESAIC_CHECK(tensor.dtype == DType::kF16);
  return base::F16ToF32(bits);
}

void Store(float value, const base::TensorView& tensor, std::int64_t index) {
  if (tensor.dtype == DType::kF32) {
    tensor.As<float>()[index] = value;
  } else {
    MOESAIC_CHECK(tensor.dtype == DType::kBF16);
    tensor.As<std::uint16_t>()[index] = base::F32ToBF16(value);
  }
}

namespace {

/// The signed byte of W[n, k] of an i8 matrix.
std::int32_t Int8At(const PackedMatrix& matrix, std::int64_t n, std::int64_t k) {
  constexpr std::int64_t kPanel = PackedMatrix::kPanel;
  const std::int64_t quads = (matrix.k() + 3) / 4;
  const std::int64_t index = ((n / kPanel * quads + k / 4) * kPanel + n % kPanel) * 4 + k % 4;
  return static_cast<const std::uint8_t*>(matrix.data())[index] - int8::kWeightOffset;
}

/// The bf16 of W[n, k] of a coded matrix.
std::uint16_t CodedAt(const PackedMatrix& matrix, std::int64_t n, std::int64_t k) {
  const std::int64_t panel = n / PackedMatrix::kPanel;
  const std::int64_t panel_bytes = matrix.k() / bf16_code::kRecordInputs * bf16_code::kRecordBytes;
  const auto* const records = static_cast<const std::uint8_t*>(matrix.data()) + panel * panel_bytes;
  const bf16_code::Side side = matrix.code();
  return bf16_code::DecodeOne(records, side.upper_bytes,
                              side.exceptions + panel * bf16_code::ExceptionsOf(matrix.k()),
                              matrix.k(), k, n % PackedMatrix::kPanel);
}

}  // namespace

float ScaleAt(const PackedMatrix& matrix, std::int64_t n, std::int64_t k) {
  if (matrix.scales() == nullptr) return 1.0f;
  constexpr std::int64_t kPanel = PackedMatrix::kPanel;
  const std::int64_t block = n / kPanel * matrix.scale_blocks() + k / PackedMatrix::kScaleBlock;
  return matrix.scales()[block * kPanel + n % kPanel];
}

float StoredAt(const PackedMatrix& matrix, std::int64_t n, std::int64_t k) {
  constexpr std::int64_t kPanel = PackedMatrix::kPanel;
  const std::int64_t panel = n / kPanel;
  const std::int64_t lane = n % kPanel;
  const std::int64_t index = (panel * matrix.k() + k) * kPanel + lane;
  switch (matrix.storage()) {
    case DType::kF32:
      return static_cast<const float*>(matrix.data())[index];
    case DType::kBF16:
      if (matrix.coded()) return base::BF16ToF32(CodedAt(matrix, n, k));
      return base::BF16ToF32(static_cast<const std::uint16_t*>(matrix.data())[index]);
    case DType::kI8:
      return static_cast<float>(Int8At(matrix, n, k));
    default:
      return base::F8E4M3ToF32(static_cast<const std::uint8_t*>(matrix.data())[index]);
  }
}

float Int8MatmulOutput(const PackedMatrix& matrix, std::int64_t n, const float* x) {
  float sum = 0.0f;
  for (std::int64_t begin = 0; begin < matrix.k(); begin += kInt8Group) {
    const std::int64_t count = std::min(kInt8Group, matrix.k() - begin);
    std::int8_t quantized[kInt8Group];
    const float scale = QuantizeInt8(x + begin, count, quantized);
    std::int32_t dot = 0;
    for (std::int64_t i = 0; i < count; ++i) dot += quantized[i] * Int8At(matrix, n, begin + i);
    sum = std::fmaf(static_cast<float>(dot), scale * ScaleAt(matrix, n, begin), sum);
  }
  return sum;
}

}  // namespace moesaic::kernels::reference
