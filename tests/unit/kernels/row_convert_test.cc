#include "kernels/row_convert.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "base/dtype.h"
#include "tests/testing/run_op.h"

namespace moesaic::kernels {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr std::int64_t kSizes[] = {1, 15, 16, 17, 128, 130, 300, 2048};

std::int64_t Blocks(std::int64_t n) { return (n + kFp8RowBlock - 1) / kFp8RowBlock; }

/// Values of every magnitude that a quotient can have, and what is no number.
std::vector<float> Row(std::int64_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> row(n);
  for (float& x : row) {
    const float scale = std::ldexp(1.0f, -static_cast<int>(random() % 24));
    x = random() % 11 == 0 ? 0.0f : normal(random) * scale;
    if (random() % 97 == 0) x = kNaN;
  }
  return row;
}

/// The definition, element by element.
void Define(const std::vector<float>& x, std::vector<std::uint8_t>* q, std::vector<float>* scales) {
  const auto n = static_cast<std::int64_t>(x.size());
  q->assign(n, 0);
  scales->assign(Blocks(n), 0);
  for (std::int64_t b = 0; b < Blocks(n); ++b) {
    const std::int64_t end = std::min(n, (b + 1) * kFp8RowBlock);
    float amax = 1e-4f;
    for (std::int64_t i = b * kFp8RowBlock; i < end; ++i) {
      if (std::fabs(x[i]) > amax) amax = std::fabs(x[i]);
    }
    const float scale = std::min(amax, 0x1p127f) / 448.0f;
    (*scales)[b] = scale;
    for (std::int64_t i = b * kFp8RowBlock; i < end; ++i) (*q)[i] = base::F32ToF8E4M3(x[i] / scale);
  }
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](float x, float y) {
    return std::bit_cast<std::uint32_t>(x) == std::bit_cast<std::uint32_t>(y);
  });
}

TEST(RowConvertTest, Fp8RowsAreAsDefinedOnEveryTarget) {
  testing::ForEachTargetAndThreads([](int) {
    for (const std::int64_t n : kSizes) {
      const std::vector<float> x = Row(n, static_cast<unsigned>(n));
      std::vector<std::uint8_t> expected_q;
      std::vector<float> expected_scales;
      Define(x, &expected_q, &expected_scales);
      std::vector<std::uint8_t> q(n);
      std::vector<float> scales(Blocks(n));
      QuantizeFp8Row(x.data(), n, q.data(), scales.data());
      EXPECT_EQ(q, expected_q) << n;
      EXPECT_TRUE(SameBits(scales, expected_scales)) << n;
    }
  });
}

TEST(RowConvertTest, Bf16RowsQuantiseLikeTheirWidenedValues) {
  testing::ForEachTargetAndThreads([](int) {
    for (const std::int64_t n : kSizes) {
      const std::vector<float> x = Row(n, 7);
      std::vector<std::uint16_t> narrow(n);
      RoundRow(x.data(), n, narrow.data());
      std::vector<float> wide(n);
      WidenRow(narrow.data(), n, wide.data());
      for (std::int64_t i = 0; i < n; ++i) {
        ASSERT_EQ(narrow[i], base::F32ToBF16(x[i]));
        ASSERT_EQ(std::bit_cast<std::uint32_t>(wide[i]), std::uint32_t{narrow[i]} << 16);
      }
      std::vector<std::uint8_t> q(n), expected_q;
      std::vector<float> scales(Blocks(n)), expected_scales;
      Define(wide, &expected_q, &expected_scales);
      QuantizeFp8Row(narrow.data(), n, q.data(), scales.data());
      EXPECT_EQ(q, expected_q) << n;
      EXPECT_TRUE(SameBits(scales, expected_scales)) << n;
    }
  });
}

TEST(RowConvertTest, EveryCodeIsReadAsBaseReadsItOnEveryTarget) {
  std::vector<std::uint8_t> q(256);
  for (int i = 0; i < 256; ++i) q[i] = static_cast<std::uint8_t>(i);
  const std::vector<float> scales = {0.75f, 3e38f};
  testing::ForEachTargetAndThreads([&](int) {
    std::vector<float> y(256);
    std::vector<std::uint16_t> narrow(256);
    DequantizeFp8Row(q.data(), scales.data(), 256, y.data());
    DequantizeFp8Row(q.data(), scales.data(), 256, narrow.data());
    for (int i = 0; i < 256; ++i) {
      const float expected = base::F8E4M3ToF32(q[i]) * scales[i / 128];
      EXPECT_TRUE(SameBits({y[i]}, {expected}) || (std::isnan(y[i]) && std::isnan(expected))) << i;
      EXPECT_EQ(narrow[i], base::F32ToBF16(y[i])) << i;
    }
  });
}

TEST(RowConvertTest, ScalesStayAboveZeroAndFinite) {
  testing::ForEachTargetAndThreads([](int) {
    std::vector<float> x(3 * 128, 0.0f);
    x[128] = -kInf;
    x[129] = 1.0f;
    x[256] = kNaN;
    x[257] = 896.0f;
    std::vector<std::uint8_t> q(x.size());
    std::vector<float> scales(3);
    QuantizeFp8Row(x.data(), static_cast<std::int64_t>(x.size()), q.data(), scales.data());
    EXPECT_EQ(scales, (std::vector<float>{1e-4f / 448.0f, 0x1p127f / 448.0f, 2.0f}));
    EXPECT_EQ(q[128], 0xFE);  // saturated
    EXPECT_EQ(q[129], 0);
    EXPECT_EQ(q[256], 0x7F);
    EXPECT_EQ(q[257], 0x7E);
  });
}

}  // namespace
}  // namespace moesaic::kernels
