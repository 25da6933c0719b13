#include "kernels/reference.h"

#include <cstring>

#include "base/check.h"

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

float WeightAt(const PackedMatrix& matrix, std::int64_t n, std::int64_t k) {
  constexpr std::int64_t kPanel = PackedMatrix::kPanel;
  const std::int64_t panel = n / kPanel;
  const std::int64_t lane = n % kPanel;
  const std::int64_t index = (panel * matrix.k() + k) * kPanel + lane;
  switch (matrix.storage()) {
    case DType::kF32:
      return static_cast<const float*>(matrix.data())[index];
    case DType::kBF16:
      return base::BF16ToF32(static_cast<const std::uint16_t*>(matrix.data())[index]);
    default: {
      const std::int64_t block = panel * matrix.scale_blocks() + k / PackedMatrix::kScaleBlock;
      return base::F8E4M3ToF32(static_cast<const std::uint8_t*>(matrix.data())[index]) *
             matrix.scales()[block * kPanel + lane];
    }
  }
}

}  // namespace moesaic::kernels::reference
