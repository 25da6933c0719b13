#include "kernels/kv_cache.h"

#include <gtest/gtest.h>

#include "tests/testing/host_tensor.h"
#include "tests/testing/run_op.h"

namespace moesaic::kernels {
namespace {

using base::DType;
using testing::HostTensor;

HostTensor Slots(const std::vector<std::int32_t>& values) {
  HostTensor slots(DType::kI32, {static_cast<std::int64_t>(values.size())});
  std::copy(values.begin(), values.end(), slots.As<std::int32_t>());
  return slots;
}

absl::Status Write(const KvWriteArgs& args) {
  return testing::RunOnHost(2, [&](base::Stream& stream) { return Launch(args, {}, stream); });
}

TEST(KvWriteTest, RowsLandInTheirSlotsAndColumns) {
  const HostTensor rows = HostTensor::Random(DType::kF32, {3, 4}, 1);
  const HostTensor cache(DType::kF32, {2, 3, 6});
  ASSERT_TRUE(Write({rows, Slots({5, -1, 0}), {cache}, 2}).ok());
  for (std::int64_t slot = 0; slot < 6; ++slot) {
    for (std::int64_t column = 0; column < 6; ++column) {
      float expected = 0;
      if (column >= 2 && slot == 5) expected = rows.As<float>()[column - 2];
      if (column >= 2 && slot == 0) expected = rows.As<float>()[2 * 4 + column - 2];
      EXPECT_EQ(cache.As<float>()[slot * 6 + column], expected) << slot << ", " << column;
    }
  }
}

TEST(KvWriteTest, RoundsIntoBf16AndWidensOutOfIt) {
  const HostTensor f32 = HostTensor::Random(DType::kF32, {40, 5}, 2);
  const HostTensor bf16(DType::kBF16, {10, 4, 5});
  const HostTensor back(DType::kF32, {40, 1, 5});
  std::vector<std::int32_t> order;
  for (std::int32_t i = 0; i < 40; ++i) order.push_back(i);
  ASSERT_TRUE(Write({f32, Slots(order), {bf16}}).ok());
  const auto flat = base::TensorView::Host(bf16.As<std::uint16_t>(), {40, 5});
  ASSERT_TRUE(Write({flat, Slots(order), {back}}).ok());
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(back.As<float>()[i], base::RoundToBF16(f32.As<float>()[i]));
  }
}

TEST(KvWriteTest, NoRowsIsNoWork) {
  const HostTensor cache(DType::kF32, {1, 1, 4});
  EXPECT_TRUE(Write({HostTensor(DType::kF32, {0, 4}), Slots({}), {cache}}).ok());
}

TEST(KvWriteTest, RefusesWhatDoesNotFit) {
  const HostTensor rows(DType::kF32, {2, 4});
  const HostTensor cache(DType::kF32, {2, 3, 6});
  const HostTensor slots = Slots({0, 1});
  EXPECT_FALSE(CanRun(KvWriteArgs{rows, slots, {cache}, 3}).ok());
  EXPECT_FALSE(CanRun(KvWriteArgs{rows, slots, {cache}, -1}).ok());
  EXPECT_FALSE(CanRun(KvWriteArgs{rows, Slots({0}), {cache}, 0}).ok());
  EXPECT_FALSE(CanRun(KvWriteArgs{rows, slots, {rows}, 0}).ok());
  EXPECT_FALSE(CanRun(KvWriteArgs{rows, slots, {HostTensor(DType::kU8, {2, 3, 6})}, 0}).ok());
  EXPECT_FALSE(CanRun(KvWriteArgs{rows, slots, {HostTensor(DType::kF32, {2, 0, 6})}, 0}).ok());
}

}  // namespace
}  // namespace moesaic::kernels
