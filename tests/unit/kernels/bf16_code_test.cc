#include "kernels/bf16_code.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/dtype.h"
#include "kernels/packed_matrix.h"
#include "kernels/reference.h"
#include "tests/testing/host_tensor.h"

namespace moesaic::kernels::bf16_code {
namespace {

using base::DType;
using testing::HostTensor;

/// Weights of which each of the first `others` has an upper byte of its own.
std::vector<std::uint16_t> Panel(std::int64_t k, std::int64_t others) {
  std::vector<std::uint16_t> panel(k * 16);
  for (std::size_t i = 0; i < panel.size(); ++i) {
    panel[i] = static_cast<std::uint16_t>((0x30 + i % 16) << 8 | (i * 37 & 0xFF));
  }
  for (std::int64_t i = 0; i < others; ++i) {
    panel[i * 5 % (k * 16)] = static_cast<std::uint16_t>((0x80 + i % 64) << 8 | 0x5A);
  }
  return panel;
}

/// The sixteen upper bytes that Panel(k, 0) has.
UpperBytes Known() {
  UpperBytes upper_bytes;
  for (int i = 0; i < 16; ++i) upper_bytes[i] = static_cast<std::uint8_t>(0x30 + i);
  return upper_bytes;
}

TEST(Bf16CodeTest, EveryWeightIsDecodedAsItWas) {
  constexpr std::int64_t kInputs = 520;
  const std::vector<std::uint16_t> panel = Panel(kInputs, ExceptionsOf(kInputs));
  std::vector<std::uint8_t> records(PartBytes(16, kInputs)[0]);
  std::vector<Exception> exceptions(ExceptionsOf(kInputs));
  ASSERT_TRUE(EncodePanel(panel.data(), kInputs, Known(), NumbersOf(Known()), records.data(),
                          exceptions.data()));
  EXPECT_TRUE(std::is_sorted(exceptions.begin(), exceptions.end()));
  for (std::int64_t i = 0; i < kInputs * 16; ++i) {
    ASSERT_EQ(DecodeOne(records.data(), Known().data(), exceptions.data(), kInputs, i / 16, i % 16),
              panel[i])
        << i;
  }
}

TEST(Bf16CodeTest, MoreExceptionsThanThereIsRoomForAreRefused) {
  const std::vector<std::uint16_t> panel = Panel(128, ExceptionsOf(128) + 1);
  std::vector<std::uint8_t> records(PartBytes(16, 128)[0]);
  std::vector<Exception> exceptions(ExceptionsOf(128));
  EXPECT_FALSE(EncodePanel(panel.data(), 128, Known(), NumbersOf(Known()), records.data(),
                           exceptions.data()));
}

TEST(Bf16CodeTest, ExceptionsAreFoundByTheirInputs) {
  std::vector<Exception> exceptions(ExceptionsOf(64), kNoException);
  const auto at = [](std::int64_t input, std::int64_t output) {
    return static_cast<Exception>((input * 16 + output) << 8 | input);
  };
  exceptions[0] = at(0, 3);
  exceptions[1] = at(8, 15);
  exceptions[2] = at(9, 0);
  exceptions[3] = at(63, 1);
  std::vector<std::array<std::int64_t, 3>> found;
  ExceptionCursor cursor(exceptions.data(), 64, 8);
  for (; cursor.half() < 4; cursor.Advance()) {
    found.push_back({cursor.half() + cursor.input_in_half(), cursor.output(), cursor.bits()});
  }
  EXPECT_EQ(found, (std::vector<std::array<std::int64_t, 3>>{{0, 15, 8}, {1, 0, 9}}));
  EXPECT_EQ(cursor.half(), 52);
  cursor.Advance();
  EXPECT_GE(cursor.half(), 64);
}

TEST(Bf16CodeTest, TheMostFrequentAreNumbered) {
  std::array<std::int64_t, 256> counts = {};
  for (int i = 0; i < 20; ++i) counts[100 + i] = 1 + i;
  const UpperBytes upper_bytes = MostFrequent(counts);
  EXPECT_EQ(upper_bytes.front(), 119);
  EXPECT_EQ(upper_bytes.back(), 104);
  const Numbers numbers = NumbersOf(upper_bytes);
  EXPECT_EQ(numbers[119], 0);
  EXPECT_EQ(numbers[104], 15);
  EXPECT_EQ(numbers[103], kNoNumber);
}

TEST(Bf16CodeTest, OnlyWholePanelsAndRecordsHaveTheForm) {
  EXPECT_TRUE(HasForm(16, 8));
  EXPECT_FALSE(HasForm(24, 8));
  EXPECT_FALSE(HasForm(16, 12));
  EXPECT_FALSE(HasForm(0, 8));
  EXPECT_FALSE(HasForm(16, 0));
  EXPECT_FALSE(HasForm(16, kMaxInputs));
}

TEST(CodedMatrixTest, IsThePlainOneInThreeQuartersOfTheBytes) {
  const HostTensor weight = HostTensor::Random(DType::kBF16, {80, 648}, 7);
  for (const std::int64_t i : {0, 1, 4000, 51000}) weight.As<std::uint16_t>()[i] = 0;
  weight.As<std::uint16_t>()[9] = base::F32ToBF16(-std::numeric_limits<float>::infinity());
  const auto pack = [&](PackedMatrix::Bf16Layout layout) {
    return PackedMatrix::Pack({{weight}}, DType::kBF16, {}, nullptr, layout).value();
  };
  const PackedMatrix plain = pack(PackedMatrix::Bf16Layout::kPlain);
  const PackedMatrix coded = pack(PackedMatrix::Bf16Layout::kCoded);
  EXPECT_FALSE(plain.coded());
  ASSERT_TRUE(coded.coded());
  EXPECT_EQ(coded.scales(), nullptr);
  EXPECT_EQ(plain.bytes(), PackedMatrix::BytesOf(80, 648, DType::kBF16));
  EXPECT_LT(coded.bytes(), plain.bytes() * 77 / 100);
  for (int n = 0; n < 80; ++n) {
    for (int k = 0; k < 648; ++k) {
      ASSERT_EQ(reference::WeightAt(coded, n, k), reference::WeightAt(plain, n, k))
          << n << " " << k;
    }
  }
  const auto restored = PackedMatrix::Restore(
      80, 648, DType::kBF16, /*coded=*/true, [&](PackedMatrix::Parts to) -> absl::Status {
        for (std::size_t i = 0; i < to.size(); ++i) {
          std::copy(coded.parts()[i].begin(), coded.parts()[i].end(), to[i].begin());
        }
        return absl::OkStatus();
      });
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->parts(), coded.parts());
}

TEST(CodedMatrixTest, StaysPlainWhereThereIsNothingToSave) {
  const HostTensor any = HostTensor(DType::kBF16, {16, 512});
  for (std::uint32_t i = 0; i < 16 * 512; ++i) {
    any.As<std::uint16_t>()[i] = static_cast<std::uint16_t>(i * 2654435761u >> 16 & 0xBFFF);
  }
  const HostTensor narrow = HostTensor::Random(DType::kBF16, {20, 512}, 8);
  for (const HostTensor* weight : {&any, &narrow}) {
    const auto packed = PackedMatrix::Pack({{*weight}}, DType::kBF16, {}, nullptr,
                                           PackedMatrix::Bf16Layout::kCoded);
    ASSERT_TRUE(packed.ok()) << packed.status();
    EXPECT_FALSE(packed->coded());
    EXPECT_EQ(reference::StoredAt(*packed, 3, 5),
              base::BF16ToF32(weight->As<std::uint16_t>()[3 * 512 + 5]));
  }
}

TEST(CodedMatrixTest, OnlyBf16OfWholeRecordsIsRestored) {
  const auto fill = [](PackedMatrix::Parts) { return absl::OkStatus(); };
  EXPECT_EQ(PackedMatrix::Restore(16, 12, DType::kBF16, true, fill).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(PackedMatrix::Restore(16, 16, DType::kF32, true, fill).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace moesaic::kernels::bf16_code
