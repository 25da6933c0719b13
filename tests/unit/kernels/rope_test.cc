#include "kernels/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>

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

constexpr YarnOptions kDeepSeekV3 = {.factor = 40,
                                     .original_max_positions = 4096,
                                     .beta_fast = 32,
                                     .beta_slow = 1,
                                     .mscale = 1.0,
                                     .mscale_all_dim = 1.0};

RopeTable Table(RopeOptions options) {
  auto table = RopeTable::Build(options);
  EXPECT_TRUE(table.ok()) << table.status();
  return *std::move(table);
}

absl::Status RunOp(const RopeArgs& args, int threads) {
  return RunOnHost(threads,
                   [&](base::Stream& stream) { return Launch(args, base::TensorView(), stream); });
}

// The figures are those of the authors' code (DeepSeek-V3 configuration).
TEST(RopeTableTest, YarnFrequenciesAreTheAuthors) {
  const std::vector<double> inv_freq =
      RopeInvFreq({.dim = 64, .theta = 10000, .yarn = kDeepSeekV3});
  const std::pair<int, double> expected[] = {{0, 1},
                                             {1, .749894209},
                                             {9, .0749894209},
                                             {10, .0562341325},
                                             {11, .0390069266},
                                             {16, .0055},
                                             {22, .000177827941},
                                             {23, 3.33380358e-05},
                                             {31, 3.33380358e-06}};
  for (const auto& [i, value] : expected) {
    EXPECT_NEAR(inv_freq[i], value, value * 1e-8) << i;
  }
}

TEST(RopeTableTest, SoftmaxScalesAreTheAuthors) {
  EXPECT_NEAR(YarnSoftmaxScale(192, kDeepSeekV3), 0.13523378, 1e-8);
  YarnOptions v2 = kDeepSeekV3;
  v2.mscale = v2.mscale_all_dim = 0.707;
  EXPECT_NEAR(YarnSoftmaxScale(192, v2), 0.11472139, 1e-8);
  EXPECT_DOUBLE_EQ(YarnSoftmaxScale(64, std::nullopt), 0.125);
}

TEST(RopeTableTest, TableIsCosAndSinTimesTheMscaleRatio) {
  YarnOptions yarn = kDeepSeekV3;
  yarn.mscale = 0.5;
  const RopeOptions options = {.dim = 8, .theta = 10000, .yarn = yarn, .max_positions = 5000};
  const RopeTable table = Table(options);
  const std::vector<double> inv_freq = RopeInvFreq(options);
  const double ratio = (0.1 * 0.5 * std::log(40.0) + 1) / (0.1 * std::log(40.0) + 1);
  for (const int position : {0, 1, 4999}) {
    for (int i = 0; i < 4; ++i) {
      const double angle = static_cast<float>(position) * static_cast<float>(inv_freq[i]);
      EXPECT_EQ(table.cos()[position * 4 + i], static_cast<float>(std::cos(angle) * ratio));
      EXPECT_EQ(table.sin()[position * 4 + i], static_cast<float>(std::sin(angle) * ratio));
    }
  }
}

TEST(RopeTableTest, RefusesOptionsWithoutMeaning) {
  EXPECT_FALSE(RopeTable::Build({.dim = 3, .max_positions = 4}).ok());
  EXPECT_FALSE(RopeTable::Build({.dim = 0, .max_positions = 4}).ok());
  EXPECT_FALSE(RopeTable::Build({.dim = 4, .theta = 0, .max_positions = 4}).ok());
  EXPECT_FALSE(RopeTable::Build({.dim = 4, .max_positions = -1}).ok());
  EXPECT_FALSE(RopeTable::Build({.dim = 4, .yarn = YarnOptions{.factor = 0.5}}).ok());
}

TEST(RopeTest, HasTheBitsOfTheDefinition) {
  for (const RopePairing pairing : {RopePairing::kInterleaved, RopePairing::kHalfSplit}) {
    for (const DType y_type : {DType::kF32, DType::kBF16}) {
      for (const std::int64_t rows : {0, 1, 5, 40}) {
        for (const int dim : {2, 64, 34, 128}) {
          const RopeTable table = Table({.dim = dim, .max_positions = 100});
          const HostTensor x = HostTensor::Random(DType::kF32, {rows, 7, dim}, 1);
          const HostTensor positions(DType::kI32, {rows});
          for (std::int64_t i = 0; i < rows; ++i) positions.As<std::int32_t>()[i] = (i * 37) % 100;
          const HostTensor expected(y_type, {rows, 7, dim});
          const HostTensor y(y_type, {rows, 7, dim});
          RopeArgs args = {.x = x, .positions = positions, .table = &table, .pairing = pairing};
          args.y = expected;
          RopeReference(args);
          args.y = y;
          ForEachTargetAndThreads([&](int threads) {
            ASSERT_TRUE(RunOp(args, threads).ok());
            EXPECT_TRUE(BitsEqual(y, expected)) << rows << " rows of " << dim;
          });
        }
      }
    }
  }
}

TEST(RopeTest, RotatesThePairsItSays) {
  const RopeTable table = Table({.dim = 4, .theta = 100, .max_positions = 8});
  const float values[] = {1, 2, 3, 4};
  const HostTensor positions(DType::kI32, {1});
  positions.As<std::int32_t>()[0] = 7;
  for (const RopePairing pairing : {RopePairing::kInterleaved, RopePairing::kHalfSplit}) {
    const bool interleaved = pairing == RopePairing::kInterleaved;
    const HostTensor y(DType::kF32, {1, 1, 4});
    ASSERT_TRUE(RunOp({.x = base::TensorView::Host(values, {1, 1, 4}),
                       .y = y,
                       .positions = positions,
                       .table = &table,
                       .pairing = pairing},
                      1)
                    .ok());
    for (int i = 0; i < 2; ++i) {
      const int first = interleaved ? 2 * i : i;
      const int second = interleaved ? 2 * i + 1 : i + 2;
      const std::complex<double> rotated = std::complex<double>(values[first], values[second]) *
                                           std::polar(1.0, 7 * std::pow(100.0, -i / 2.0));
      EXPECT_NEAR(y.As<float>()[first], rotated.real(), 1e-6);
      EXPECT_NEAR(y.As<float>()[second], rotated.imag(), 1e-6);
    }
  }
}

TEST(RopeTest, RotatesPartOfAHeadInPlace) {
  // 2 rows of 3 heads of 10, of which the last 4 values are rotated.
  const RopeTable table = Table({.dim = 4, .max_positions = 9});
  const HostTensor x = HostTensor::Random(DType::kF32, {2, 3, 10}, 2);
  const HostTensor before = HostTensor::Random(DType::kF32, {2, 3, 10}, 2);
  const HostTensor positions(DType::kI32, {2});
  positions.As<std::int32_t>()[1] = 8;
  const base::TensorView part(x.As<float>() + 6, DType::kF32, {2, 3, 4});
  RopeArgs args = {.x = part,
                   .y = part,
                   .positions = positions,
                   .table = &table,
                   .x_row_stride = 30,
                   .x_head_stride = 10,
                   .y_row_stride = 30,
                   .y_head_stride = 10};
  ASSERT_TRUE(RunOp(args, 2).ok());
  args.x = args.y = base::TensorView(before.As<float>() + 6, DType::kF32, {2, 3, 4});
  RopeReference(args);
  EXPECT_TRUE(BitsEqual(x, before));
}

TEST(RopeTest, RefusesPositionsOutsideTheTable) {
  const RopeTable table = Table({.dim = 4, .max_positions = 9});
  const HostTensor x(DType::kF32, {1, 1, 4});
  const HostTensor positions(DType::kI32, {1});
  const RopeArgs args = {.x = x, .y = x, .positions = positions, .table = &table};
  positions.As<std::int32_t>()[0] = 8;
  EXPECT_TRUE(CanRun(args).ok());
  positions.As<std::int32_t>()[0] = 9;
  EXPECT_FALSE(CanRun(args).ok());
  positions.As<std::int32_t>()[0] = -1;
  EXPECT_FALSE(CanRun(args).ok());
}

}  // namespace
}  // namespace moesaic::kernels
