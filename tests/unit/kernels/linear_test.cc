#include "kernels/linear.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "base/dtype.h"
#include "tests/testing/host_tensor.h"
#include "tests/testing/run_op.h"
#include "tests/testing/tensor_compare.h"

namespace moesaic::kernels {
namespace {

using base::DType;
using testing::BitsEqual;
using testing::ForEachTargetAndThreads;
using testing::HostTensor;
using testing::RunOnHost;

PackedMatrix RandomWeight(DType storage, std::int64_t n, std::int64_t k, std::uint64_t seed) {
  const HostTensor weight =
      HostTensor::Random(storage == DType::kI8 ? DType::kF32 : storage, {n, k}, seed);
  std::optional<base::TensorView> scale;
  const HostTensor scales =
      HostTensor::Random(DType::kF32, {(n + 127) / 128, (k + 127) / 128}, seed + 1, 0.01f);
  if (storage == DType::kF8E4M3) scale = scales.view();
  auto packed = PackedMatrix::Pack({{weight, scale}}, storage);
  EXPECT_TRUE(packed.ok()) << packed.status();
  return *std::move(packed);
}

absl::Status RunOp(const LinearArgs& args, int threads) {
  const HostTensor workspace(DType::kU8, {static_cast<std::int64_t>(WorkspaceBytes(args))});
  return RunOnHost(threads, [&](base::Stream& stream) { return Launch(args, workspace, stream); });
}

struct Case {
  DType storage;
  DType x;
  DType y;
};

class LinearTest : public ::testing::TestWithParam<Case> {};

TEST_P(LinearTest, HasTheBitsOfTheDefinition) {
  struct Shape {
    std::int64_t m, n, k;
  };
  // Rows around the tiles (6, 12) and blocks (24, 48), outputs around panels and groups of panels,
  // inputs around the chunk.
  const Shape shapes[] = {{0, 16, 16},  {1, 1, 1},     {1, 64, 128}, {2, 17, 127},
                          {5, 65, 129}, {6, 16, 40},   {7, 80, 256}, {11, 33, 64},
                          {12, 48, 33}, {13, 64, 130}, {25, 40, 16}, {49, 31, 150}};
  for (const Shape& shape : shapes) {
    SCOPED_TRACE(::testing::Message() << shape.m << " x " << shape.n << " x " << shape.k);
    const PackedMatrix weight = RandomWeight(GetParam().storage, shape.n, shape.k, 1);
    const HostTensor x = HostTensor::Random(GetParam().x, {shape.m, shape.k}, 2);
    const HostTensor expected(GetParam().y, {shape.m, shape.n});
    LinearReference({.x = x, .weight = &weight, .y = expected});
    ForEachTargetAndThreads([&](int threads) {
      const HostTensor y = HostTensor::Random(GetParam().y, {shape.m, shape.n}, 3);
      ASSERT_TRUE(RunOp({.x = x, .weight = &weight, .y = y}, threads).ok());
      EXPECT_TRUE(BitsEqual(y, expected));
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Types, LinearTest,
                         ::testing::Values(Case{DType::kF32, DType::kF32, DType::kF32},
                                           Case{DType::kBF16, DType::kF32, DType::kF32},
                                           Case{DType::kBF16, DType::kBF16, DType::kF32},
                                           Case{DType::kBF16, DType::kBF16, DType::kBF16},
                                           Case{DType::kF8E4M3, DType::kF32, DType::kBF16},
                                           Case{DType::kF8E4M3, DType::kBF16, DType::kF32},
                                           Case{DType::kI8, DType::kF32, DType::kF32},
                                           Case{DType::kI8, DType::kBF16, DType::kBF16}));

class LinearBatchTest : public ::testing::TestWithParam<DType> {};

TEST_P(LinearBatchTest, ARowDoesNotSeeTheOthers) {
  const PackedMatrix weight = RandomWeight(GetParam(), 70, 300, 4);
  const HostTensor x = HostTensor::Random(DType::kBF16, {31, 300}, 5);
  const HostTensor all(DType::kF32, {31, 70});
  ASSERT_TRUE(RunOp({.x = x, .weight = &weight, .y = all}, 2).ok());
  for (std::int64_t row = 0; row < 31; ++row) {
    const base::TensorView one_x(x.As<std::uint16_t>() + row * 300, DType::kBF16, {1, 300});
    const base::TensorView one_of_all(all.As<float>() + row * 70, DType::kF32, {1, 70});
    const HostTensor alone(DType::kF32, {1, 70});
    ASSERT_TRUE(RunOp({.x = one_x, .weight = &weight, .y = alone}, 1).ok());
    EXPECT_TRUE(BitsEqual(alone, one_of_all)) << "row " << row;
  }
}

INSTANTIATE_TEST_SUITE_P(Storages, LinearBatchTest, ::testing::Values(DType::kBF16, DType::kI8));

TEST(LinearBf16Test, SubnormalNumbersCountAsZerosOnEveryTarget) {
  // Magnitudes whose products and sums lie around the smallest normal number.
  const HostTensor x = HostTensor::Random(DType::kBF16, {13, 131}, 21);
  const HostTensor w = HostTensor::Random(DType::kBF16, {40, 131}, 22);
  const auto spread = [](const HostTensor& tensor, std::int64_t count, int step) {
    auto* values = tensor.As<std::uint16_t>();
    for (std::int64_t i = 0; i < count; ++i) {
      const int exponent = static_cast<int>(i * step % 17) - 8;
      values[i] = base::F32ToBF16(std::ldexp(base::BF16ToF32(values[i]), -63 + exponent));
      if (i % 11 == 0) values[i] &= 0x807F;
    }
  };
  spread(x, 13 * 131, 5);
  spread(w, 40 * 131, 7);
  const auto weight = PackedMatrix::Pack({{w}}, DType::kBF16);
  ASSERT_TRUE(weight.ok()) << weight.status();
  const HostTensor expected(DType::kF32, {13, 40});
  LinearReference({.x = x, .weight = &*weight, .y = expected});
  const auto* sums = expected.As<float>();
  EXPECT_GT(std::count(sums, sums + 13 * 40, 0.0f), 0);
  EXPECT_GT(std::count_if(sums, sums + 13 * 40, [](float sum) { return std::isnormal(sum); }), 0);
  ForEachTargetAndThreads([&](int threads) {
    const HostTensor y(DType::kF32, {13, 40});
    ASSERT_TRUE(RunOp({.x = x, .weight = &*weight, .y = y}, threads).ok());
    EXPECT_TRUE(BitsEqual(y, expected));
  });
}

TEST(LinearBf16Test, CodedWeightsHaveTheBitsOfPlainOnes) {
  // Chunks, panels and groups of panels, whole and not; exceptions at both ends of all of them.
  for (const auto& [n, k] : {std::pair{16, 8}, {80, 128}, {144, 264}, {48, 648}}) {
    SCOPED_TRACE(::testing::Message() << n << " x " << k);
    const HostTensor w = HostTensor::Random(DType::kBF16, {n, k}, 25);
    for (int i = 0; i < n * k; i += 509) {
      w.As<std::uint16_t>()[i] = base::F32ToBF16(std::ldexp(1.5f, i % 64 - 60));
    }
    const auto pack = [&](PackedMatrix::Bf16Layout layout) {
      return PackedMatrix::Pack({{w}}, DType::kBF16, {}, nullptr, layout).value();
    };
    const PackedMatrix plain = pack(PackedMatrix::Bf16Layout::kPlain);
    const PackedMatrix coded = pack(PackedMatrix::Bf16Layout::kCoded);
    ASSERT_TRUE(coded.coded());
    for (const std::int64_t m : {1, 2, 4, 5, 6, 8, 9, 12, 13, 31, 97}) {
      for (const DType x_type : {DType::kF32, DType::kBF16}) {
        const HostTensor x = HostTensor::Random(x_type, {m, k}, 26);
        const HostTensor expected(DType::kF32, {m, n});
        ASSERT_TRUE(RunOp({.x = x, .weight = &plain, .y = expected}, 1).ok());
        ForEachTargetAndThreads([&](int threads) {
          const HostTensor y(DType::kF32, {m, n});
          ASSERT_TRUE(RunOp({.x = x, .weight = &coded, .y = y}, threads).ok());
          EXPECT_TRUE(BitsEqual(y, expected)) << m << " rows";
        });
      }
    }
  }
}

TEST(LinearFp8Test, EveryStoredValueHasTheBitsOfTheDefinition) {
  // 0x7F and 0xFF are not numbers. Rows from ordinary sizes down to subnormal products.
  constexpr std::int64_t kInputs = 254;
  const HostTensor w(DType::kF8E4M3, {20, kInputs});
  for (std::int64_t i = 0; i < 20 * kInputs; ++i) {
    const auto byte = static_cast<std::uint8_t>((i % kInputs + i / kInputs * 7) % kInputs);
    w.As<std::uint8_t>()[i] = byte >= 0x7F ? byte + 1 : byte;
  }
  const HostTensor scales = HostTensor::Random(DType::kF32, {1, 2}, 23);
  const auto weight = PackedMatrix::Pack({{w, scales.view()}}, DType::kF8E4M3);
  ASSERT_TRUE(weight.ok()) << weight.status();
  const HostTensor x = HostTensor::Random(DType::kBF16, {14, kInputs}, 24);
  for (std::int64_t i = 0; i < 14 * kInputs; ++i) {
    auto& bits = x.As<std::uint16_t>()[i];
    bits = base::F32ToBF16(std::ldexp(base::BF16ToF32(bits), -10 * static_cast<int>(i / kInputs)));
  }
  const HostTensor expected(DType::kF32, {14, 20});
  LinearReference({.x = x, .weight = &*weight, .y = expected});
  ForEachTargetAndThreads([&](int threads) {
    const HostTensor y(DType::kF32, {14, 20});
    ASSERT_TRUE(RunOp({.x = x, .weight = &*weight, .y = y}, threads).ok());
    EXPECT_TRUE(BitsEqual(y, expected));
  });
}

/// Groups of zeros, of subnormal numbers, of the largest and of ones: the edges of quantisation.
HostTensor EdgeRows(std::int64_t rows, std::int64_t k) {
  HostTensor x = HostTensor::Random(DType::kF32, {rows, k}, 11);
  const float scales[] = {0.0f, 0x1p-130f, 0x1p-119f, 0x1p-118f, 1e-20f, 1.0f, 1e18f, 0x1p127f};
  for (std::int64_t i = 0; i < rows * k; ++i) x.As<float>()[i] *= scales[i / 128 % 8];
  return x;
}

TEST(LinearInt8Test, EdgesOfQuantisationHaveTheSameBits) {
  const HostTensor x = EdgeRows(9, 1024);
  const HostTensor w = HostTensor::Random(DType::kF32, {40, 1024}, 12, 1e-10f);
  const auto weight = PackedMatrix::Pack({{w}}, DType::kI8);
  ASSERT_TRUE(weight.ok()) << weight.status();
  const HostTensor expected(DType::kF32, {9, 40});
  LinearReference({.x = x, .weight = &*weight, .y = expected});
  ForEachTargetAndThreads([&](int threads) {
    const HostTensor y(DType::kF32, {9, 40});
    ASSERT_TRUE(RunOp({.x = x, .weight = &*weight, .y = y}, threads).ok());
    EXPECT_TRUE(BitsEqual(y, expected));
  });
}

TEST(LinearInt8Test, TheLargestSumsDoNotSaturate) {
  // Every weight and activation at an end of its range.
  for (const float sign : {1.0f, -1.0f}) {
    const HostTensor x(DType::kF32, {13, 256});
    const HostTensor w(DType::kF32, {33, 256});
    std::fill_n(x.As<float>(), 13 * 256, sign);
    std::fill_n(w.As<float>(), 33 * 256, 1.0f);
    const auto weight = PackedMatrix::Pack({{w}}, DType::kI8);
    ASSERT_TRUE(weight.ok()) << weight.status();
    ForEachTargetAndThreads([&](int threads) {
      const HostTensor y(DType::kF32, {13, 33});
      ASSERT_TRUE(RunOp({.x = x, .weight = &*weight, .y = y}, threads).ok());
      for (int i = 0; i < 13 * 33; ++i) {
        ASSERT_NEAR(y.As<float>()[i], sign * 256.0f, 256 * 2e-7f) << i;
      }
    });
  }
}

TEST(LinearInt8Test, AnActivationThatIsNotFiniteSpoilsItsRowOnly) {
  const PackedMatrix weight = RandomWeight(DType::kI8, 20, 300, 4);
  const HostTensor x = HostTensor::Random(DType::kF32, {3, 300}, 5);
  x.As<float>()[300 + 7] = std::numeric_limits<float>::infinity();
  ForEachTargetAndThreads([&](int threads) {
    const HostTensor y(DType::kF32, {3, 20});
    ASSERT_TRUE(RunOp({.x = x, .weight = &weight, .y = y}, threads).ok());
    for (int i = 0; i < 60; ++i) EXPECT_EQ(std::isnan(y.As<float>()[i]), i / 20 == 1) << i;
  });
}

TEST(LinearInt8Test, AShortWorkspaceIsResourceExhausted) {
  const PackedMatrix weight = RandomWeight(DType::kI8, 20, 300, 4);
  const HostTensor x(DType::kF32, {3, 300});
  const HostTensor y(DType::kF32, {3, 20});
  const LinearArgs args = {.x = x, .weight = &weight, .y = y};
  const HostTensor workspace(DType::kU8, {static_cast<std::int64_t>(WorkspaceBytes(args)) - 1});
  EXPECT_EQ(
      RunOnHost(1, [&](base::Stream& stream) { return Launch(args, workspace, stream); }).code(),
      absl::StatusCode::kResourceExhausted);
}

TEST(LinearStrideTest, ReadsAndWritesPartsOfRows) {
  const PackedMatrix weight = RandomWeight(DType::kF32, 5, 8, 6);
  const HostTensor x = HostTensor::Random(DType::kF32, {3, 20}, 7);
  const HostTensor y(DType::kF32, {3, 9});
  const HostTensor expected(DType::kF32, {3, 9});
  LinearArgs args = {.x = base::TensorView(x.As<float>() + 4, DType::kF32, {3, 8}),
                     .weight = &weight,
                     .x_row_stride = 20,
                     .y_row_stride = 9};
  args.y = base::TensorView(expected.As<float>() + 2, DType::kF32, {3, 5});
  LinearReference(args);
  args.y = base::TensorView(y.As<float>() + 2, DType::kF32, {3, 5});
  ASSERT_TRUE(RunOp(args, 1).ok());
  EXPECT_TRUE(BitsEqual(y, expected));
}

TEST(LinearCanRunTest, RefusesWhatDoesNotFit) {
  const PackedMatrix weight = RandomWeight(DType::kF32, 5, 8, 8);
  const HostTensor x(DType::kF32, {3, 8});
  const HostTensor y(DType::kF32, {3, 5});
  const HostTensor narrow(DType::kF32, {3, 7});
  const HostTensor half(DType::kF16, {3, 8});
  EXPECT_TRUE(CanRun(LinearArgs{.x = x, .weight = &weight, .y = y}).ok());
  EXPECT_FALSE(CanRun(LinearArgs{.x = x, .y = y}).ok());
  EXPECT_FALSE(CanRun(LinearArgs{.x = narrow, .weight = &weight, .y = y}).ok());
  EXPECT_FALSE(CanRun(LinearArgs{.x = half, .weight = &weight, .y = y}).ok());
  EXPECT_FALSE(CanRun(LinearArgs{.x = x, .weight = &weight, .y = narrow}).ok());
  EXPECT_FALSE(CanRun(LinearArgs{.x = x, .weight = &weight, .y = y, .x_row_stride = 7}).ok());
  base::TensorView on_gpu = x;
  on_gpu.device = {base::DeviceKind::kCuda, 0};
  EXPECT_FALSE(CanRun(LinearArgs{.x = on_gpu, .weight = &weight, .y = y}).ok());
}

}  // namespace
}  // namespace moesaic::kernels
