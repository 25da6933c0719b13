#include "kernels/packed_matrix.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/compute_pool.h"
#include "base/dtype.h"
#include "kernels/reference.h"
#include "tests/testing/host_tensor.h"

namespace moesaic::kernels {
namespace {

using base::DType;
using testing::HostTensor;

/// Element (row, column) of a source as a float, scale included.
float SourceAt(const HostTensor& weight, const HostTensor* scale, std::int64_t row,
               std::int64_t column) {
  const std::int64_t columns = weight.view().dim(1);
  if (scale == nullptr) return reference::Load(weight, row * columns + column);
  const float s = reference::Load(*scale, row / 128 * scale->view().dim(1) + column / 128);
  return base::F8E4M3ToF32(weight.As<std::uint8_t>()[row * columns + column]) * s;
}

TEST(PackedMatrixTest, KeepsEveryElementAndPadsWithZeros) {
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    const HostTensor weight = HostTensor::Random(dtype, {19, 131}, 1);
    const auto packed = PackedMatrix::Pack({{weight}}, DType::kF32);
    ASSERT_TRUE(packed.ok()) << packed.status();
    EXPECT_EQ(packed->n(), 19);
    EXPECT_EQ(packed->k(), 131);
    EXPECT_EQ(packed->panels(), 2);
    EXPECT_EQ(packed->bytes(), 2u * 131 * 16 * 4);
    for (int n = 0; n < 32; ++n) {
      for (int k = 0; k < 131; ++k) {
        const float expected = n < 19 ? SourceAt(weight, nullptr, n, k) : 0.0f;
        ASSERT_EQ(reference::WeightAt(*packed, n, k), expected) << n << " " << k;
      }
    }
  }
}

TEST(PackedMatrixTest, BF16StorageRoundsOnce) {
  const HostTensor weight = HostTensor::Random(DType::kF32, {16, 7}, 2);
  const auto packed = PackedMatrix::Pack({{weight}}, DType::kBF16);
  ASSERT_TRUE(packed.ok()) << packed.status();
  for (int n = 0; n < 16; ++n) {
    for (int k = 0; k < 7; ++k) {
      EXPECT_EQ(reference::WeightAt(*packed, n, k),
                base::RoundToBF16(SourceAt(weight, nullptr, n, k)));
    }
  }
}

TEST(PackedMatrixTest, IsRestoredFromItsParts) {
  const HostTensor scale = HostTensor::Random(DType::kF32, {1, 2}, 4);
  for (const DType storage : {DType::kF32, DType::kBF16, DType::kF8E4M3, DType::kI8}) {
    const HostTensor weight =
        HostTensor::Random(storage == DType::kI8 ? DType::kBF16 : storage, {19, 131}, 3);
    WeightSource source = {.weight = weight};
    if (storage == DType::kF8E4M3) source.scale = scale.view();
    const auto packed = PackedMatrix::Pack({source}, storage);
    ASSERT_TRUE(packed.ok()) << packed.status();
    EXPECT_EQ(packed->parts()[0].size() + packed->parts()[1].size(), packed->bytes());
    const auto restored = PackedMatrix::Restore(
        19, 131, storage, /*coded=*/false, [&](PackedMatrix::Parts to) -> absl::Status {
          for (std::size_t i = 0; i < to.size(); ++i) {
            const auto from = packed->parts()[i];
            EXPECT_EQ(to[i].size(), from.size());
            std::copy(from.begin(), from.end(), to[i].begin());
          }
          return absl::OkStatus();
        });
    ASSERT_TRUE(restored.ok()) << restored.status();
    EXPECT_EQ(restored->parts(), packed->parts());
    for (int n = 0; n < 19; ++n) {
      ASSERT_EQ(reference::WeightAt(*restored, n, 130), reference::WeightAt(*packed, n, 130));
    }
  }
  const auto failed =
      PackedMatrix::Restore(19, 131, DType::kF32, /*coded=*/false,
                            [](PackedMatrix::Parts) { return absl::DataLossError("gone"); });
  EXPECT_EQ(failed.status().code(), absl::StatusCode::kDataLoss);
}

TEST(PackedMatrixTest, StacksRowRangesAndTransposes) {
  const HostTensor a = HostTensor::Random(DType::kBF16, {5, 6}, 3);
  const HostTensor b = HostTensor::Random(DType::kF32, {20, 9}, 4);
  // All of a, then rows 2 … 7 of b transposed: 9 outputs of 6 inputs.
  const auto packed = PackedMatrix::Pack(
      {{a}, {.weight = b, .row_begin = 2, .rows = 6, .transposed = true}}, DType::kF32);
  ASSERT_TRUE(packed.ok()) << packed.status();
  ASSERT_EQ(packed->n(), 14);
  ASSERT_EQ(packed->k(), 6);
  for (int k = 0; k < 6; ++k) {
    for (int n = 0; n < 5; ++n) {
      EXPECT_EQ(reference::WeightAt(*packed, n, k), SourceAt(a, nullptr, n, k));
    }
    for (int n = 0; n < 9; ++n) {
      EXPECT_EQ(reference::WeightAt(*packed, 5 + n, k), SourceAt(b, nullptr, 2 + k, n));
    }
  }
}

TEST(PackedMatrixTest, Fp8KeepsBlockScalesFromAnyRow) {
  const HostTensor weight = HostTensor::Random(DType::kF8E4M3, {300, 200}, 5);
  const HostTensor scale = HostTensor::Random(DType::kF32, {3, 2}, 6);
  for (const DType storage : {DType::kF8E4M3, DType::kF32}) {
    const auto packed = PackedMatrix::Pack(
        {{.weight = weight, .scale = scale, .row_begin = 121, .rows = 170}}, storage);
    ASSERT_TRUE(packed.ok()) << packed.status();
    for (int n = 0; n < 170; ++n) {
      for (int k = 0; k < 200; ++k) {
        ASSERT_EQ(reference::WeightAt(*packed, n, k), SourceAt(weight, &scale, 121 + n, k));
      }
    }
  }
}

TEST(PackedMatrixTest, Fp8TransposedFromABlockBoundary) {
  const HostTensor weight = HostTensor::Random(DType::kF8E4M3, {256, 140}, 5);
  const HostTensor scale = HostTensor::Random(DType::kBF16, {2, 2}, 6);
  const auto packed = PackedMatrix::Pack(
      {{.weight = weight, .scale = scale, .row_begin = 128, .transposed = true}}, DType::kF8E4M3);
  ASSERT_TRUE(packed.ok()) << packed.status();
  for (int n = 0; n < 140; ++n) {
    for (int k = 0; k < 128; ++k) {
      ASSERT_EQ(reference::WeightAt(*packed, n, k), SourceAt(weight, &scale, 128 + k, n));
    }
  }
  const auto inside = PackedMatrix::Pack(
      {{.weight = weight, .scale = scale, .row_begin = 64, .transposed = true}}, DType::kF8E4M3);
  EXPECT_EQ(inside.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(PackedMatrixTest, TakesUnalignedMemoryAndAPool) {
  const HostTensor weight = HostTensor::Random(DType::kF32, {40, 33}, 7);
  std::vector<char> shifted(weight.view().bytes() + 1);
  std::memcpy(shifted.data() + 1, weight.view().data, weight.view().bytes());
  const base::TensorView view(shifted.data() + 1, DType::kF32, {40, 33});
  base::ComputePool pool(2);
  const auto a = PackedMatrix::Pack({{weight}}, DType::kF32);
  const auto b = PackedMatrix::Pack({{view}}, DType::kF32, {}, &pool);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(std::memcmp(a->data(), b->data(), a->bytes()), 0);
}

TEST(PackedMatrixTest, Int8IsNearEverySourceAndExactWhereItCan) {
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16, DType::kF8E4M3}) {
    const HostTensor weight = HostTensor::Random(dtype, {35, 300}, 8);
    const HostTensor scale = HostTensor::Random(DType::kF32, {1, 3}, 9);
    const HostTensor* scales = dtype == DType::kF8E4M3 ? &scale : nullptr;
    WeightSource source = {.weight = weight, .row_begin = 2};
    if (scales != nullptr) source.scale = scale.view();
    base::ComputePool pool(2);
    const auto packed = PackedMatrix::Pack({source}, DType::kI8, {}, &pool);
    ASSERT_TRUE(packed.ok()) << packed.status();
    EXPECT_EQ(packed->bytes(), 3u * 16 * (300 + 3 * 4));
    EXPECT_EQ(packed->bytes(), PackedMatrix::BytesOf(33, 300, DType::kI8));
    for (int n = 0; n < 33; ++n) {
      for (int begin = 0; begin < 300; begin += 128) {
        float largest = 0;
        const int end = std::min(300, begin + 128);
        for (int k = begin; k < end; ++k) {
          largest = std::max(largest, std::fabs(SourceAt(weight, scales, 2 + n, k)));
        }
        for (int k = begin; k < end; ++k) {
          // Half a step, and the roundings of the scale and of the product.
          ASSERT_NEAR(reference::WeightAt(*packed, n, k), SourceAt(weight, scales, 2 + n, k),
                      largest / 254 * (1 + 1e-4f));
        }
      }
    }
  }
}

TEST(PackedMatrixTest, Int8RefusesWhatIsNotFinite) {
  const HostTensor weight = HostTensor::Random(DType::kF32, {20, 130}, 7);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    weight.As<float>()[17 * 130 + 129] = bad;
    EXPECT_EQ(PackedMatrix::Pack({{weight}}, DType::kI8).status().code(),
              absl::StatusCode::kDataLoss);
  }
}

TEST(PackedMatrixTest, BytesAreKnownBeforePacking) {
  for (const DType storage : {DType::kF32, DType::kBF16, DType::kI8}) {
    const HostTensor weight(DType::kF32, {19, 131});
    const auto packed = PackedMatrix::Pack({{weight}}, storage);
    ASSERT_TRUE(packed.ok()) << packed.status();
    EXPECT_EQ(packed->bytes(), PackedMatrix::BytesOf(19, 131, storage));
  }
}

TEST(PackedMatrixTest, RefusesWhatDoesNotFit) {
  const HostTensor f32(DType::kF32, {4, 8});
  const HostTensor other_k(DType::kF32, {4, 9});
  const HostTensor fp8(DType::kF8E4M3, {4, 8});
  const HostTensor scale(DType::kF32, {1, 1});
  const HostTensor wrong_scale(DType::kF32, {1, 2});
  const auto code = [](const auto& packed) { return packed.status().code(); };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(code(PackedMatrix::Pack({}, DType::kF32)), kInvalid);
  EXPECT_EQ(code(PackedMatrix::Pack({{f32}, {other_k}}, DType::kF32)), kInvalid);
  EXPECT_EQ(code(PackedMatrix::Pack({{f32}}, DType::kF16)), kInvalid);
  EXPECT_EQ(code(PackedMatrix::Pack({{f32}}, DType::kF8E4M3)), kInvalid);
  EXPECT_EQ(code(PackedMatrix::Pack({{fp8}}, DType::kF8E4M3)), kInvalid);
  EXPECT_EQ(code(PackedMatrix::Pack({{fp8, wrong_scale}}, DType::kF8E4M3)), kInvalid);
  EXPECT_TRUE(PackedMatrix::Pack({{fp8, scale}}, DType::kF8E4M3).ok());
  EXPECT_EQ(code(PackedMatrix::Pack({{.weight = f32, .row_begin = 3, .rows = 2}}, DType::kF32)),
            kInvalid);
  EXPECT_EQ(code(PackedMatrix::Pack({{.weight = f32, .row_begin = 5}}, DType::kF32)), kInvalid);
  EXPECT_EQ(code(PackedMatrix::Pack({{.weight = f32, .row_begin = -1}}, DType::kF32)), kInvalid);
}

}  // namespace
}  // namespace moesaic::kernels
