#include "kernels/rms_norm.h"

#include <gtest/gtest.h>

#include <cmath>

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

absl::Status RunOp(const RmsNormArgs& args, int threads) {
  return RunOnHost(threads,
                   [&](base::Stream& stream) { return Launch(args, base::TensorView(), stream); });
}

TEST(RmsNormTest, HasTheBitsOfTheDefinition) {
  for (const DType weight_type : {DType::kF32, DType::kBF16}) {
    for (const DType y_type : {DType::kF32, DType::kBF16}) {
      for (const std::int64_t rows : {0, 1, 7}) {
        for (const std::int64_t n : {1, 15, 16, 17, 128, 5000}) {
          const HostTensor x = HostTensor::Random(DType::kF32, {rows, n}, 1, 3.0f);
          const HostTensor weight = HostTensor::Random(weight_type, {n}, 2);
          const HostTensor expected(y_type, {rows, n});
          RmsNormReference({.x = x, .weight = weight, .y = expected, .eps = 1e-5f});
          ForEachTargetAndThreads([&](int threads) {
            const HostTensor y(y_type, {rows, n});
            ASSERT_TRUE(RunOp({.x = x, .weight = weight, .y = y, .eps = 1e-5f}, threads).ok());
            EXPECT_TRUE(BitsEqual(y, expected)) << rows << " x " << n;
          });
        }
      }
    }
  }
}

TEST(RmsNormTest, TheDefinitionIsRmsNorm) {
  const HostTensor x = HostTensor::Random(DType::kF32, {1, 100}, 3);
  const HostTensor weight = HostTensor::Random(DType::kF32, {100}, 4);
  const HostTensor y(DType::kF32, {1, 100});
  const HostTensor exact(DType::kF32, {1, 100});
  RmsNormReference({.x = x, .weight = weight, .y = y, .eps = 1e-6f});
  double squares = 0;
  for (int i = 0; i < 100; ++i) squares += std::pow(x.As<float>()[i], 2);
  for (int i = 0; i < 100; ++i) {
    exact.As<float>()[i] = static_cast<float>(x.As<float>()[i] / std::sqrt(squares / 100 + 1e-6) *
                                              weight.As<float>()[i]);
  }
  // 100 terms of a sum and a handful of roundings, 2^-24 each.
  EXPECT_TRUE(testing::AllClose(y, exact, {.relative = 16 * 0x1p-24}));
}

TEST(RmsNormTest, NormsHeadsAndPartsOfRowsInPlace) {
  // Rows of 3 heads of 20, of which the second and third are normed.
  const HostTensor x = HostTensor::Random(DType::kF32, {4, 60}, 5);
  const HostTensor weight = HostTensor::Random(DType::kBF16, {20}, 6);
  const HostTensor expected(DType::kF32, {8, 20});
  for (std::int64_t row = 0; row < 4; ++row) {
    for (std::int64_t head = 0; head < 2; ++head) {
      RmsNormReference(
          {.x = base::TensorView(x.As<float>() + row * 60 + (head + 1) * 20, DType::kF32, {1, 20}),
           .weight = weight,
           .y = base::TensorView(expected.As<float>() + (row * 2 + head) * 20, DType::kF32,
                                 {1, 20})});
    }
  }
  const base::TensorView part(x.As<float>() + 20, DType::kF32, {4, 2, 20});
  ASSERT_TRUE(
      RunOp({.x = part, .weight = weight, .y = part, .x_row_stride = 60, .y_row_stride = 60}, 1)
          .ok());
  for (std::int64_t row = 0; row < 4; ++row) {
    EXPECT_TRUE(BitsEqual(base::TensorView(x.As<float>() + row * 60 + 20, DType::kF32, {2, 20}),
                          base::TensorView(expected.As<float>() + row * 40, DType::kF32, {2, 20})));
  }
}

TEST(RmsNormTest, RefusesWhatDoesNotFit) {
  const HostTensor x(DType::kF32, {2, 8});
  const HostTensor bf16(DType::kBF16, {2, 8});
  const HostTensor weight(DType::kF32, {8});
  const HostTensor other(DType::kF32, {7});
  EXPECT_TRUE(CanRun(RmsNormArgs{.x = x, .weight = weight, .y = bf16}).ok());
  EXPECT_FALSE(CanRun(RmsNormArgs{.x = bf16, .weight = weight, .y = x}).ok());
  EXPECT_FALSE(CanRun(RmsNormArgs{.x = x, .weight = other, .y = x}).ok());
  EXPECT_FALSE(CanRun(RmsNormArgs{.x = x, .weight = weight, .y = x, .x_row_stride = 4}).ok());
}

}  // namespace
}  // namespace moesaic::kernels
