#include "base/device_memory.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <utility>

#include "base/tensor.h"

namespace moesaic::base {
namespace {

constexpr Device kDevice = {DeviceKind::kCuda, 1};

/// Host memory that counts what is held.
class CountingMemory final : public DeviceMemory {
 public:
  absl::StatusOr<void*> Allocate(std::size_t bytes, int index) override {
    if (bytes > 100) return absl::ResourceExhaustedError("full");
    EXPECT_EQ(index, kDevice.index);
    ++held_;
    return std::calloc(bytes, 1);
  }
  void Release(void* data, int index) override {
    EXPECT_EQ(index, kDevice.index);
    --held_;
    std::free(data);
  }
  absl::Status CopyFromHost(void*, const void*, std::size_t, int) override {
    return absl::OkStatus();
  }
  absl::Status CopyToHost(void*, const void*, std::size_t, int) override {
    return absl::OkStatus();
  }
  int held() const { return held_; }

 private:
  int held_ = 0;
};

class DeviceMemoryTest : public ::testing::Test {
 protected:
  void TearDown() override { SetCudaMemory(nullptr); }
  CountingMemory memory_;
};

TEST_F(DeviceMemoryTest, WithoutABackendAllocationIsUnimplemented) {
  EXPECT_EQ(Buffer::Allocate(8, kDevice).status().code(), absl::StatusCode::kUnimplemented);
}

TEST_F(DeviceMemoryTest, BuffersComeFromTheBackendAndGoBack) {
  SetCudaMemory(&memory_);
  {
    auto a = Buffer::Allocate(8, kDevice);
    auto b = Buffer::Allocate(16, kDevice);
    ASSERT_TRUE(a.ok() && b.ok());
    EXPECT_EQ(a->device(), kDevice);
    EXPECT_EQ(memory_.held(), 2);
    *a = *std::move(b);
    EXPECT_EQ(memory_.held(), 1);
    EXPECT_EQ(a->bytes(), 16u);
  }
  EXPECT_EQ(memory_.held(), 0);
}

TEST_F(DeviceMemoryTest, NoBytesNeedNoMemoryAndErrorsPass) {
  SetCudaMemory(&memory_);
  EXPECT_TRUE(Buffer::Allocate(0, kDevice).ok());
  EXPECT_EQ(Buffer::Allocate(101, kDevice).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(memory_.held(), 0);
}

}  // namespace
}  // namespace moesaic::base
