#include "router/engine/finite_check.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>

namespace moesaic::router {
namespace {

using base::DType;

/// Whether some element has all bits of `mask` set, which is how each type spells "not finite".
template <typename Bits>
bool AnyHas(const std::byte* data, std::int64_t count, Bits mask) {
  bool any = false;
  for (std::int64_t i = 0; i < count; ++i) {  // no early exit: this form is vectorised
    Bits bits;
    std::memcpy(&bits, data + i * sizeof(Bits), sizeof(Bits));
    any |= (bits & mask) == mask;
  }
  return any;
}

bool AnyNonFinite(DType dtype, const std::byte* data, std::int64_t count) {
  switch (dtype) {
    case DType::kF32:
      return AnyHas<std::uint32_t>(data, count, 0x7F800000u);
    case DType::kBF16:
      return AnyHas<std::uint16_t>(data, count, 0x7F80u);
    case DType::kF16:
      return AnyHas<std::uint16_t>(data, count, 0x7C00u);
    case DType::kF8E4M3:
      return AnyHas<std::uint8_t>(data, count, 0x7Fu);
    default:
      return false;
  }
}

}  // namespace

bool AllFinite(const base::TensorView& tensor, base::ComputePool& pool) {
  constexpr std::int64_t kChunk = std::int64_t{1} << 18;  // elements; some 0.1 ms of work
  const std::int64_t elements = tensor.elements();
  const auto* data = static_cast<const std::byte*>(tensor.data);
  std::atomic<bool> finite = true;
  pool.ParallelFor((elements + kChunk - 1) / kChunk, [&](std::int64_t chunk) {
    const std::int64_t begin = chunk * kChunk;
    const std::int64_t count = std::min(kChunk, elements - begin);
    if (AnyNonFinite(tensor.dtype, data + begin * DTypeBytes(tensor.dtype), count)) finite = false;
  });
  return finite;
}

}  // namespace moesaic::router
