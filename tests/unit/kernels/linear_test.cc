#include "kernels/linear.h"

#include <gtest/gtest.h>

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
  const HostTensor weight = HostTensor::Random(storage, {n, k}, seed);
  std::optional<base::TensorView> scale;
  const HostTensor scales =
      HostTensor::Random(DType::kF32, {(n + 127) / 128, (k + 127) / 128}, seed + 1, 0.01f);
  if (storage == DType::kF8E4M3) scale = scales.view();
  auto packed = PackedMatrix::Pack({{weight, scale}}, storage);
  EXPECT_TRUE(packed.ok()) << packed.status();
  return *std::move(packed);
}

absl::Status RunOp(const LinearArgs& args, int threads) {
  return RunOnHost(threads,
                   [&](base::Stream& stream) { return Launch(args, base::TensorView(), stream); });
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
                                           Case{DType::kF8E4M3, DType::kBF16, DType::kF32}));

TEST(LinearBatchTest, ARowDoesNotSeeTheOthers) {
  const PackedMatrix weight = RandomWeight(DType::kBF16, 70, 300, 4);
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
