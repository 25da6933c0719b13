#include "rpc/wire_convert.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace moesaic::rpc {
namespace {

std::vector<float> RandomRow(int size, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> row(size);
  for (float& x : row) x = normal(random);
  return row;
}

TEST(WireConvertTest, SameTypeIsACopy) {
  std::vector<float> row = RandomRow(10, 1);
  std::vector<float> out(10);
  EncodeWireRow(base::TensorView::Host(row.data(), {1, 10}), 0, WireDtype::kF32,
                reinterpret_cast<std::byte*>(out.data()), nullptr);
  EXPECT_EQ(out, row);
  std::vector<std::uint16_t> bits = {1, 2, 3, 4, 0x3f80, 0x7f80};
  std::vector<std::uint16_t> same(3);
  EncodeWireRow(base::TensorView::Host(bits.data(), {2, 3}), 1, WireDtype::kBF16,
                reinterpret_cast<std::byte*>(same.data()), nullptr);
  EXPECT_EQ(same, (std::vector<std::uint16_t>{4, 0x3f80, 0x7f80}));
}

TEST(WireConvertTest, NarrowingRoundsToNearestEvenAndWideningIsExact) {
  // 1 + 2^-8 lies half-way between two bf16 values and goes to the even one, 1.
  std::vector<float> row = {1.0f + 0x1p-8f, 1.0f + 0x3p-8f, -0.0f, 3.5f};
  std::vector<std::uint16_t> narrow(4);
  EncodeWireRow(base::TensorView::Host(row.data(), {1, 4}), 0, WireDtype::kBF16,
                reinterpret_cast<std::byte*>(narrow.data()), nullptr);
  std::vector<float> wide(4);
  EncodeWireRow(base::TensorView::Host(narrow.data(), {1, 4}), 0, WireDtype::kF32,
                reinterpret_cast<std::byte*>(wide.data()), nullptr);
  EXPECT_EQ(wide, (std::vector<float>{1.0f, 1.0f + 0x1p-6f, -0.0f, 3.5f}));
  EXPECT_TRUE(std::signbit(wide[2]));
  std::vector<float> decoded(4);
  DecodeWireRow({reinterpret_cast<std::byte*>(narrow.data()), 8}, WireDtype::kBF16, nullptr,
                absl::MakeSpan(decoded));
  EXPECT_EQ(decoded, wide);
}

TEST(WireConvertTest, Fp8ScalesFollowTheLargestOfEachBlock) {
  std::vector<float> row(300, 0.0f);
  row[5] = -896.0f;  // first block: scale 2
  row[130] = 1.0f;   // second: 1 / 448
  ASSERT_EQ(Fp8ScalesPerRow(300), 3u);
  std::vector<std::uint8_t> q(300);
  std::vector<float> scales(3);
  QuantizeFp8Row(row, q.data(), scales.data());
  EXPECT_EQ(scales[0], 2.0f);
  EXPECT_EQ(scales[1], 1.0f / 448.0f);
  EXPECT_EQ(scales[2], 1e-4f / 448.0f) << "a zero block keeps a finite scale";
  std::vector<float> back(300);
  DequantizeFp8Row(q, scales.data(), back.data());
  EXPECT_EQ(back[5], -896.0f);
  EXPECT_EQ(back[130], 448.0f * (1.0f / 448.0f));
  EXPECT_EQ(back[299], 0.0f);
}

TEST(WireConvertTest, Fp8ErrorIsWithinHalfAStep) {
  const std::vector<float> row = RandomRow(7168, 3);
  std::vector<std::uint8_t> q(row.size());
  std::vector<float> scales(Fp8ScalesPerRow(7168));
  std::vector<float> back(row.size());
  QuantizeFp8Row(row, q.data(), scales.data());
  DequantizeFp8Row(q, scales.data(), back.data());
  for (std::size_t i = 0; i < row.size(); ++i) {
    // 3 mantissa bits: half a step is 2^-4 of the value; below 2^-6 steps are 2^-9 of the scale.
    const float bound = std::max(std::fabs(row[i]) * 0x1p-4f, scales[i / 128] * 0x1p-10f);
    ASSERT_LE(std::fabs(back[i] - row[i]), bound * 1.0001f) << i;
  }
}

TEST(WireConvertTest, Bf16RowsQuantiseLikeTheirWidenedValues) {
  const std::vector<float> row = RandomRow(200, 4);
  std::vector<std::uint16_t> narrow(200);
  std::vector<float> wide(200);
  for (int i = 0; i < 200; ++i) {
    narrow[i] = base::F32ToBF16(row[i]);
    wide[i] = base::BF16ToF32(narrow[i]);
  }
  std::vector<std::uint8_t> from_narrow(200), from_wide(200);
  std::vector<float> narrow_scales(2), wide_scales(2);
  EncodeWireRow(base::TensorView::Host(narrow.data(), {1, 200}), 0, WireDtype::kFp8E4M3,
                reinterpret_cast<std::byte*>(from_narrow.data()), narrow_scales.data());
  EncodeWireRow(base::TensorView::Host(wide.data(), {1, 200}), 0, WireDtype::kFp8E4M3,
                reinterpret_cast<std::byte*>(from_wide.data()), wide_scales.data());
  EXPECT_EQ(from_narrow, from_wide);
  EXPECT_EQ(narrow_scales, wide_scales);
}

TEST(WireConvertTest, NaNStaysNaN) {
  const std::vector<float> row = {std::numeric_limits<float>::quiet_NaN(), 1.0f};
  std::vector<std::uint8_t> q(2);
  float scale;
  QuantizeFp8Row(row, q.data(), &scale);
  std::vector<float> back(2);
  DequantizeFp8Row(q, &scale, back.data());
  EXPECT_TRUE(std::isnan(back[0]));
  EXPECT_EQ(back[1], 1.0f);
}

TEST(WireConvertTest, ResultsRoundOnce) {
  const std::vector<float> row = {1.0f + 0x1p-8f, -2.0f};
  std::uint16_t narrow[2];
  EncodeResultRow(row, WireDtype::kBF16, reinterpret_cast<std::byte*>(narrow));
  EXPECT_EQ(narrow[0], base::F32ToBF16(1.0f));
  EXPECT_EQ(narrow[1], base::F32ToBF16(-2.0f));
  float same[2];
  EncodeResultRow(row, WireDtype::kF32, reinterpret_cast<std::byte*>(same));
  EXPECT_EQ(same[0], row[0]);
}

}  // namespace
}  // namespace moesaic::rpc
