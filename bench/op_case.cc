#include "bench/op_case.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/device_memory.h"

namespace moesaic::bench {

using base::DType;

base::Buffer Allocate(std::size_t bytes, base::Device device) {
  auto buffer = base::Buffer::Allocate(bytes, device);
  MOESAIC_CHECK(buffer.ok());
  return *std::move(buffer);
}

base::Buffer Filled(std::size_t elements, DType dtype, base::Device device) {
  constexpr std::size_t kPeriod = 251;
  const std::size_t period_bytes = kPeriod * base::DTypeBytes(dtype);
  base::Buffer host = Allocate(elements * base::DTypeBytes(dtype), {});
  for (std::size_t i = 0; i < std::min(elements, kPeriod); ++i) {
    const float value = static_cast<float>(i) / 251.0f - 0.5f;
    if (dtype == DType::kF32) host.As<float>()[i] = value;
    if (dtype == DType::kBF16) host.As<std::uint16_t>()[i] = base::F32ToBF16(value);
    if (dtype == DType::kF8E4M3) host.As<std::uint8_t>()[i] = base::F32ToF8E4M3(value);
  }
  for (std::size_t at = period_bytes; at < host.bytes(); at += period_bytes) {
    std::memcpy(host.As<char>() + at, host.data(), std::min(period_bytes, host.bytes() - at));
  }
  if (device.kind == base::DeviceKind::kCpu) return host;
  base::Buffer copy = Allocate(host.bytes(), device);
  MOESAIC_CHECK(
      base::CudaMemory()->CopyFromHost(copy.data(), host.data(), host.bytes(), device.index).ok());
  return copy;
}

}  // namespace moesaic::bench
