#include "base/crc32c.h"

#include <cstdint>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"

namespace moesaic::base {
namespace {

std::uint32_t Of(std::string_view text) {
  return Crc32c({reinterpret_cast<const std::byte*>(text.data()), text.size()});
}

// RFC 3720, B.4.
TEST(Crc32cTest, HasTheValuesOfTheStandard) {
  EXPECT_EQ(Of(""), 0u);
  EXPECT_EQ(Of("123456789"), 0xE3069283u);
  EXPECT_EQ(Crc32c(std::vector<std::byte>(32, std::byte{0})), 0x8A9136AAu);
  EXPECT_EQ(Crc32c(std::vector<std::byte>(32, std::byte{0xFF})), 0x62A8AB43u);
}

TEST(Crc32cTest, EveryLengthAgreesWithTheDefinition) {
  std::vector<std::byte> bytes;
  std::uint32_t state = ~0u;
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(Crc32c(bytes), ~state) << i;
    bytes.push_back(static_cast<std::byte>(i * 37 + 5));
    state ^= static_cast<std::uint32_t>(bytes.back());
    for (int bit = 0; bit < 8; ++bit) state = (state >> 1) ^ ((state & 1) != 0 ? 0x82F63B78u : 0u);
  }
}

}  // namespace
}  // namespace moesaic::base
