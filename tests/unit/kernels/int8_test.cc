#include "kernels/int8.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace moesaic::kernels {
namespace {

struct Quantized {
  float scale;
  std::vector<int> values;
};

Quantized Quantize(const std::vector<float>& x) {
  std::vector<std::int8_t> q(x.size(), 99);
  const float scale = QuantizeInt8(x.data(), static_cast<std::int64_t>(x.size()), q.data());
  return {scale, std::vector<int>(q.begin(), q.end())};
}

TEST(QuantizeInt8Test, ZerosHaveScaleZero) {
  const Quantized zeros = Quantize({0.0f, -0.0f, 0.0f});
  EXPECT_EQ(zeros.scale, 0.0f);
  EXPECT_EQ(zeros.values, std::vector<int>({0, 0, 0}));
}

TEST(QuantizeInt8Test, AConstantIsTheLargestValue) {
  for (const float value : {1.0f, 3.7f, 1e-30f, 1e30f, std::numeric_limits<float>::max()}) {
    const Quantized q = Quantize({value, -value, value});
    EXPECT_EQ(q.values, std::vector<int>({127, -127, 127}));
    EXPECT_EQ(q.scale, value / 127.0f);
  }
}

TEST(QuantizeInt8Test, HalvesGoToTheEvenNeighbour) {
  const Quantized q = Quantize({127.0f, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -126.5f});
  EXPECT_EQ(q.scale, 1.0f);
  EXPECT_EQ(q.values, std::vector<int>({127, 0, 2, 2, 0, -2, -126}));
}

TEST(QuantizeInt8Test, WhatIsTooSmallForAScaleIsZero) {
  EXPECT_EQ(Quantize({std::numeric_limits<float>::denorm_min(), 0x1p-130f}).scale, 0.0f);
  EXPECT_EQ(Quantize({std::nextafterf(int8::kSmallest, 0.0f)}).values, std::vector<int>({0}));
  const Quantized smallest = Quantize({-int8::kSmallest, int8::kSmallest / 2});
  EXPECT_EQ(smallest.values, std::vector<int>({-127, 64}));
  EXPECT_TRUE(std::isnormal(smallest.scale));
}

TEST(QuantizeInt8Test, WhatIsNotFiniteGivesNaN) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    const Quantized q = Quantize({1.0f, bad, 2.0f});
    EXPECT_TRUE(std::isnan(q.scale));
    EXPECT_EQ(q.values, std::vector<int>({0, 0, 0}));
  }
}

TEST(QuantizeInt8Test, EveryLargestMagnitudeStaysInRange) {
  // 2^20 mantissas: 127 / m may be rounded up, and the product with it.
  for (std::uint32_t i = 0; i < 1u << 20; ++i) {
    const float largest = 1.0f + static_cast<float>(i) * 0x1p-20f;
    std::int8_t q = 0;
    QuantizeInt8(&largest, 1, &q);
    ASSERT_EQ(q, 127) << largest;
  }
}

TEST(Int8RowsTest, RegionsAreApart) {
  std::vector<std::byte> memory(Int8Rows::Bytes(3, 300) + 64);
  auto* const base = reinterpret_cast<std::byte*>(
      (reinterpret_cast<std::uintptr_t>(memory.data()) + 63) / 64 * 64);
  const Int8Rows rows(base, 3, 300);
  EXPECT_EQ(rows.groups, 3);
  EXPECT_GE(reinterpret_cast<std::byte*>(rows.scales), base + 3 * 3 * kInt8Group);
  EXPECT_GE(rows.offsets, reinterpret_cast<std::int32_t*>(rows.scales) + 9);
  EXPECT_LE(reinterpret_cast<std::byte*>(rows.offsets + 9), base + Int8Rows::Bytes(3, 300));
}

}  // namespace
}  // namespace moesaic::kernels
