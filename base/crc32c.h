#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

namespace moesaic::base {

/// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78): several GB/s where the processor has an
/// instruction for it (SSE4.2, ARMv8), a table elsewhere. Tells accidents apart, not adversaries.
std::uint32_t Crc32c(absl::Span<const std::byte> bytes);

}  // namespace moesaic::base
