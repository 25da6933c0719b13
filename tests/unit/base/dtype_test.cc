#include "base/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

namespace moesaic::base {
namespace {

TEST(DTypeTest, NamesRoundTrip) {
  for (DType dtype : {DType::kF32, DType::kBF16, DType::kF16, DType::kF8E4M3}) {
    EXPECT_EQ(ParseDType(DTypeName(dtype)).value(), dtype);
  }
  const absl::Status unknown = ParseDType("f64").status();
  EXPECT_EQ(unknown.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(unknown.message().find("f64"), absl::string_view::npos);
}

TEST(DTypeTest, BF16RoundsToNearestEven) {
  EXPECT_EQ(F32ToBF16(1.0f), 0x3F80);
  EXPECT_EQ(F32ToBF16(std::bit_cast<float>(0x3F808000u)), 0x3F80);  // tie, even below
  EXPECT_EQ(F32ToBF16(std::bit_cast<float>(0x3F818000u)), 0x3F82);  // tie, even above
  EXPECT_EQ(F32ToBF16(std::bit_cast<float>(0x3F808001u)), 0x3F81);
  EXPECT_EQ(F32ToBF16(std::numeric_limits<float>::infinity()), 0x7F80);
  EXPECT_TRUE(std::isnan(BF16ToF32(F32ToBF16(std::bit_cast<float>(0x7F800001u)))));
}

TEST(DTypeTest, EveryBF16IsExact) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = BF16ToF32(static_cast<std::uint16_t>(bits));
    if (std::isnan(value)) continue;
    ASSERT_EQ(F32ToBF16(value), bits);
  }
}

TEST(DTypeTest, F16KnownValues) {
  EXPECT_EQ(F16ToF32(0x3C00), 1.0f);
  EXPECT_EQ(F16ToF32(0xC000), -2.0f);
  EXPECT_EQ(F16ToF32(0x7BFF), 65504.0f);
  EXPECT_EQ(F16ToF32(0x0001), std::ldexp(1.0f, -24));
  EXPECT_TRUE(std::isinf(F16ToF32(0x7C00)));
  EXPECT_TRUE(std::isnan(F16ToF32(0x7E00)));
}

TEST(DTypeTest, F8KnownValues) {
  EXPECT_EQ(F8E4M3ToF32(0x38), 1.0f);
  EXPECT_EQ(F8E4M3ToF32(0x7E), 448.0f);
  EXPECT_EQ(F8E4M3ToF32(0x01), std::ldexp(1.0f, -9));
  EXPECT_TRUE(std::isnan(F8E4M3ToF32(0x7F)));
  EXPECT_TRUE(std::isnan(F8E4M3ToF32(0xFF)));
}

TEST(DTypeTest, EveryF8IsExactAndNeighboursRound) {
  for (int bits = 0; bits < 0x7F; ++bits) {
    const float value = F8E4M3ToF32(static_cast<std::uint8_t>(bits));
    ASSERT_EQ(F32ToF8E4M3(value), bits);
    ASSERT_EQ(F32ToF8E4M3(-value), bits | 0x80);
    if (bits == 0x7E) continue;
    const float next = F8E4M3ToF32(static_cast<std::uint8_t>(bits + 1));
    const float middle = (value + next) / 2;
    ASSERT_EQ(F32ToF8E4M3(middle), (bits & 1) ? bits + 1 : bits) << bits;
    ASSERT_EQ(F32ToF8E4M3(std::nextafter(middle, 1e9f)), bits + 1) << bits;
  }
  EXPECT_EQ(F32ToF8E4M3(1e30f), 0x7E);
  EXPECT_EQ(F32ToF8E4M3(-std::numeric_limits<float>::infinity()), 0xFE);
  EXPECT_EQ(F32ToF8E4M3(std::nanf("")), 0x7F);
}

}  // namespace
}  // namespace moesaic::base
