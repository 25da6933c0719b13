#include "base/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

namespace moesaic::base {
namespace {

constexpr std::array<std::uint32_t, 256> Table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0u);
    table[i] = crc;
  }
  return table;
}

std::uint32_t ByTable(std::uint32_t crc, const std::byte* at, std::size_t bytes) {
  static constexpr std::array<std::uint32_t, 256> kTable = Table();
  for (std::size_t i = 0; i < bytes; ++i) {
    crc = (crc >> 8) ^ kTable[(crc ^ static_cast<std::uint32_t>(at[i])) & 255];
  }
  return crc;
}

#if defined(__x86_64__)
bool HasInstruction() { return __builtin_cpu_supports("sse4.2"); }
__attribute__((target("sse4.2"))) std::uint32_t EightBytes(std::uint32_t crc, std::uint64_t word) {
  return static_cast<std::uint32_t>(_mm_crc32_u64(crc, word));
}
#define MOESAIC_CRC_TARGET __attribute__((target("sse4.2")))
#elif defined(__ARM_FEATURE_CRC32)
bool HasInstruction() { return true; }
std::uint32_t EightBytes(std::uint32_t crc, std::uint64_t word) { return __crc32cd(crc, word); }
#define MOESAIC_CRC_TARGET
#else
bool HasInstruction() { return false; }
std::uint32_t EightBytes(std::uint32_t crc, std::uint64_t) { return crc; }
#define MOESAIC_CRC_TARGET
#endif

MOESAIC_CRC_TARGET std::uint32_t ByInstruction(std::uint32_t crc, const std::byte* at,
                                               std::size_t bytes) {
  std::size_t i = 0;
  for (; i + sizeof(std::uint64_t) <= bytes; i += sizeof(std::uint64_t)) {
    std::uint64_t word;
    std::memcpy(&word, at + i, sizeof word);
    crc = EightBytes(crc, word);
  }
  return ByTable(crc, at + i, bytes - i);
}

}  // namespace

std::uint32_t Crc32c(absl::Span<const std::byte> bytes) {
  const std::uint32_t crc = HasInstruction() ? ByInstruction(~0u, bytes.data(), bytes.size())
                                             : ByTable(~0u, bytes.data(), bytes.size());
  return ~crc;
}

}  // namespace moesaic::base
