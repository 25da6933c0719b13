#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace moesaic::monitoring {

/// CRC-32 as in zlib and Ethernet (reflected polynomial 0xEDB88320).
constexpr std::uint32_t Crc32(std::string_view bytes) {
  constexpr auto kTable = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) * 0xEDB88320u);
      table[i] = value;
    }
    return table;
  }();
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const char c : bytes) crc = (crc >> 8) ^ kTable[(crc ^ static_cast<unsigned char>(c)) & 255];
  return ~crc;
}
static_assert(Crc32("123456789") == 0xCBF43926u);  // the check value of the catalogue of CRCs

}  // namespace moesaic::monitoring
