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

/// What a shard computing in `Out` reads of a row sent as fp8.
template <typename Out>
std::vector<Out> ThroughFp8(std::vector<float> row) {
  const int hidden = static_cast<int>(row.size());
  std::vector<std::byte> q(row.size());
  std::vector<float> scales(Fp8ScalesPerRow(hidden));
  EncodeWireRow(base::TensorView::Host(row.data(), {1, hidden}), 0, WireDtype::kFp8E4M3, q.data(),
                scales.data());
  std::vector<Out> out(row.size());
  DecodeWireRow(q, WireDtype::kFp8E4M3, scales.data(), absl::MakeSpan(out));
  return out;
}

TEST(WireConvertTest, Fp8ScalesFollowTheLargestOfEachBlock) {
  std::vector<float> row(300, 0.0f);
  row[5] = -896.0f;  // first block: scale 2
  row[130] = 1.0f;   // second: 1 / 448
  ASSERT_EQ(Fp8ScalesPerRow(300), 3u);
  const std::vector<float> back = ThroughFp8<float>(row);
  EXPECT_EQ(back[5], -896.0f);
  EXPECT_EQ(back[130], 448.0f * (1.0f / 448.0f));
  EXPECT_EQ(back[299], 0.0f);
}

TEST(WireConvertTest, Fp8ErrorIsWithinHalfAStep) {
  const std::vector<float> row = RandomRow(7168, 3);
  const std::vector<float> back = ThroughFp8<float>(row);
  const std::vector<std::uint16_t> narrow = ThroughFp8<std::uint16_t>(row);
  for (std::size_t i = 0; i < row.size(); ++i) {
    // 3 mantissa bits: half a step is 2^-4 of the value; below 2^-6 steps are 2^-9 of the scale,
    // which is at most 5 / 448 with these values.
    const float bound = std::max(std::fabs(row[i]) * 0x1p-4f, 5.0f / 448.0f * 0x1p-10f);
    ASSERT_LE(std::fabs(back[i] - row[i]), bound * 1.0001f) << i;
    ASSERT_EQ(narrow[i], base::F32ToBF16(back[i])) << i;
  }
}

TEST(WireConvertTest, NaNStaysNaN) {
  const std::vector<float> back =
      ThroughFp8<float>({std::numeric_limits<float>::quiet_NaN(), 1.0f});
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
