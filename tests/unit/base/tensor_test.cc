#include "base/tensor.h"

#include <gtest/gtest.h>

namespace moesaic::base {
namespace {

TEST(TensorTest, ViewsKnowTheirSize) {
  float data[6] = {};
  const TensorView view = TensorView::Host(data, {2, 3});
  EXPECT_EQ(view.elements(), 6);
  EXPECT_EQ(view.bytes(), 24u);
  EXPECT_EQ(view.dtype, DType::kF32);
  EXPECT_EQ(view.As<float>(), data);
}

TEST(BufferTest, IsAlignedZeroedAndMovable) {
  Buffer buffer = Buffer::Allocate(100).value();
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64, 0u);
  EXPECT_EQ(buffer.As<char>()[99], 0);
  Buffer moved = std::move(buffer);
  EXPECT_EQ(moved.bytes(), 100u);
  EXPECT_EQ(moved.View(DType::kBF16, {5, 10}).bytes(), 100u);
  EXPECT_EQ(moved.View(DType::kF32, {5}, 80).data, moved.As<char>() + 80);
}

TEST(BufferTest, LargeOnesAreZeroedAsTheyAreTouched) {
  const std::size_t bytes = std::size_t{64} << 20;
  Buffer buffer = Buffer::Allocate(bytes).value();
  EXPECT_EQ(buffer.As<char>()[bytes - 1], 0);
  buffer.As<char>()[bytes - 1] = 1;
  buffer = Buffer::Allocate(bytes).value();
  EXPECT_EQ(buffer.As<char>()[bytes - 1], 0);
}

TEST(BufferTest, RefusesWhatItCannotHold) {
  EXPECT_EQ(Buffer::Allocate(SIZE_MAX - 1).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Buffer::Allocate(0)->bytes(), 0u);
}

}  // namespace
}  // namespace moesaic::base
