#include "tests/testing/host_tensor.h"

#include <random>

#include "base/check.h"
#include "base/dtype.h"

namespace moesaic::testing {
namespace {

/// Uniform in [-scale, scale) by integer arithmetic alone: the same everywhere.
float Uniform(std::mt19937_64& generator, float scale) {
  const auto bits = static_cast<std::int32_t>(generator() >> 40) - (1 << 23);
  return static_cast<float>(bits) / (1 << 23) * scale;
}

}  // namespace

HostTensor::HostTensor(base::DType dtype, std::initializer_list<std::int64_t> dims) {
  base::TensorView shape(nullptr, dtype, absl::MakeConstSpan(dims.begin(), dims.size()));
  auto memory = base::Buffer::Allocate(shape.bytes());
  MOESAIC_CHECK(memory.ok());
  memory_ = *std::move(memory);
  view_ = memory_.View(dtype, absl::MakeConstSpan(dims.begin(), dims.size()));
}

HostTensor HostTensor::Random(base::DType dtype, std::initializer_list<std::int64_t> dims,
                              std::uint64_t seed, float scale) {
  HostTensor tensor(dtype, dims);
  std::mt19937_64 generator(seed);
  for (std::int64_t i = 0; i < tensor.view_.elements(); ++i) {
    switch (dtype) {
      case base::DType::kF32:
        tensor.As<float>()[i] = Uniform(generator, scale);
        break;
      case base::DType::kBF16:
        tensor.As<std::uint16_t>()[i] = base::F32ToBF16(Uniform(generator, scale));
        break;
      case base::DType::kF16:
        // Exponents 2^-14 … 2^0, either sign.
        tensor.As<std::uint16_t>()[i] = static_cast<std::uint16_t>(generator() & 0xBBFF);
        break;
      case base::DType::kF8E4M3: {
        const auto byte = static_cast<std::uint8_t>(generator() >> 32);
        tensor.As<std::uint8_t>()[i] = (byte & 0x7F) == 0x7F ? 0 : byte;
        break;
      }
      default:
        break;
    }
  }
  return tensor;
}

}  // namespace moesaic::testing
