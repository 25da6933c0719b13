// The CUDA kernels against the plain-loop definitions, bit for bit. Skipped without a device.
#include <gtest/gtest.h>

#include <semaphore>
#include <vector>

#include "base/device_memory.h"
#include "base/dtype.h"
#include "kernels/cuda_stream.h"
#include "kernels/expert_ffn.h"
#include "kernels/linear.h"
#include "kernels/rms_norm.h"
#include "tests/testing/host_tensor.h"
#include "tests/testing/tensor_compare.h"

namespace moesaic::kernels {
namespace {

using base::DType;
using testing::BitsEqual;
using testing::HostTensor;

class CudaKernelsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (CudaDeviceCount() == 0) GTEST_SKIP() << "no CUDA device";
    auto stream = CudaStream::Create(0);
    ASSERT_TRUE(stream.ok()) << stream.status();
    stream_ = *std::move(stream);
  }

  /// A copy on the device, which lives as long as the test.
  base::TensorView OnDevice(const HostTensor& host) {
    const base::TensorView& view = host.view();
    auto buffer = base::Buffer::Allocate(view.bytes(), stream_->device());
    EXPECT_TRUE(buffer.ok()) << buffer.status();
    memory_.push_back(*std::move(buffer));
    if (view.bytes() > 0) {
      EXPECT_TRUE(
          base::CudaMemory()->CopyFromHost(memory_.back().data(), view.data, view.bytes(), 0).ok());
    }
    base::TensorView copy = view;
    copy.data = memory_.back().data();
    copy.device = stream_->device();
    return copy;
  }

  /// What the device holds once the stream has run dry.
  void Fetch(const base::TensorView& device, const HostTensor& host) {
    std::binary_semaphore done(0);
    stream_->OnComplete([&done] { done.release(); });
    done.acquire();
    if (host.view().bytes() == 0) return;
    EXPECT_TRUE(
        base::CudaMemory()->CopyToHost(host.view().data, device.data, host.view().bytes(), 0).ok());
  }

  /// The same random matrix on the host and on the device.
  struct Weights {
    PackedMatrix host;
    PackedMatrix device;
  };
  Weights RandomWeights(DType storage, std::int64_t n, std::int64_t k, std::uint64_t seed) {
    const HostTensor weight = HostTensor::Random(storage, {n, k}, seed, 0.3f);
    const HostTensor scale =
        HostTensor::Random(DType::kF32, {(n + 127) / 128, (k + 127) / 128}, seed + 1, 0.01f);
    WeightSource source = {.weight = weight};
    if (storage == DType::kF8E4M3) source.scale = scale.view();
    auto host = PackedMatrix::Pack({source}, storage);
    auto device = PackedMatrix::Pack({source}, storage, stream_->device());
    EXPECT_TRUE(host.ok() && device.ok());
    return {*std::move(host), *std::move(device)};
  }

  std::unique_ptr<CudaStream> stream_;
  std::vector<base::Buffer> memory_;
};

TEST_F(CudaKernelsTest, LinearHasTheHostsBits) {
  for (const DType storage : {DType::kF32, DType::kBF16, DType::kF8E4M3}) {
    for (const DType type : {DType::kF32, DType::kBF16}) {
      for (const std::int64_t m : {0, 1, 7, 8, 9, 33}) {
        const Weights weights = RandomWeights(storage, 200, 300, 1);
        const HostTensor x = HostTensor::Random(type, {m, 300}, 2);
        const HostTensor expected(type, {m, 200});
        LinearReference({.x = x, .weight = &weights.host, .y = expected});
        const HostTensor y(type, {m, 200});
        const base::TensorView device_y = OnDevice(y);
        const absl::Status status =
            Launch(LinearArgs{.x = OnDevice(x), .weight = &weights.device, .y = device_y},
                   base::TensorView(), *stream_);
        ASSERT_TRUE(status.ok()) << status;
        Fetch(device_y, y);
        EXPECT_TRUE(BitsEqual(y, expected)) << m << " rows";
      }
    }
  }
}

TEST_F(CudaKernelsTest, RmsNormHasTheHostsBits) {
  for (const DType type : {DType::kF32, DType::kBF16}) {
    for (const std::int64_t n : {1, 15, 16, 17, 2048}) {
      const HostTensor x = HostTensor::Random(DType::kF32, {5, 3, n}, 1, 3.0f);
      const HostTensor weight = HostTensor::Random(type, {n}, 2);
      const HostTensor expected(type, {5, 3, n});
      RmsNormReference({.x = x, .weight = weight, .y = expected});
      const HostTensor y(type, {5, 3, n});
      const base::TensorView device_y = OnDevice(y);
      ASSERT_TRUE(Launch(RmsNormArgs{.x = OnDevice(x), .weight = OnDevice(weight), .y = device_y},
                         base::TensorView(), *stream_)
                      .ok());
      Fetch(device_y, y);
      EXPECT_TRUE(BitsEqual(y, expected)) << n;
    }
  }
}

TEST_F(CudaKernelsTest, ExpertFfnHasTheHostsBits) {
  constexpr std::int64_t kRows = 21, kHidden = 144, kInter = 40;
  constexpr int kExperts = 20;  // more tiles than one launch takes
  for (const DType storage : {DType::kF32, DType::kBF16, DType::kF8E4M3}) {
    const DType type = storage == DType::kF32 ? DType::kF32 : DType::kBF16;
    std::vector<Weights> gate_up, down;
    std::vector<std::vector<ExpertEntry>> entries(kExperts);
    for (int e = 0; e < kExperts; ++e) {
      gate_up.push_back(RandomWeights(storage, 2 * kInter, kHidden, 10 * e + 1));
      down.push_back(RandomWeights(storage, kHidden, kInter, 10 * e + 5));
      for (std::int32_t row = e % 3; row < kRows; row += e == 4 ? 1 : 3) {
        entries[e].push_back({row, row, 0.1f + 0.01f * static_cast<float>(e), false});
      }
    }
    std::vector<bool> open(kRows);
    for (auto& group : entries) {
      for (ExpertEntry& entry : group) {
        entry.first = !open[entry.slot];
        open[entry.slot] = true;
      }
    }
    std::vector<ExpertGroup> host_groups, device_groups;
    for (int e = 0; e < kExperts; ++e) {
      host_groups.push_back({&gate_up[e].host, &down[e].host, entries[e]});
      device_groups.push_back({&gate_up[e].device, &down[e].device, entries[e]});
    }
    const HostTensor x = HostTensor::Random(type, {kRows, kHidden}, 3);
    const HostTensor expected(DType::kF32, {kRows, kHidden});
    ExpertFfnReference({.x = x, .groups = host_groups, .y = expected});
    const HostTensor y(DType::kF32, {kRows, kHidden});
    const base::TensorView device_y = OnDevice(y);
    const ExpertFfnArgs args = {.x = OnDevice(x), .groups = device_groups, .y = device_y};
    const HostTensor workspace(DType::kU8, {static_cast<std::int64_t>(WorkspaceBytes(args))});
    const absl::Status status = Launch(args, OnDevice(workspace), *stream_);
    ASSERT_TRUE(status.ok()) << status;
    Fetch(device_y, y);
    EXPECT_TRUE(BitsEqual(y, expected));
  }
}

TEST_F(CudaKernelsTest, AnotherDevicesStreamIsRefused) {
  const Weights weights = RandomWeights(DType::kF32, 16, 16, 1);
  const HostTensor x(DType::kF32, {1, 16});
  const HostTensor y(DType::kF32, {1, 16});
  EXPECT_EQ(
      Launch(LinearArgs{.x = x, .weight = &weights.host, .y = y}, base::TensorView(), *stream_)
          .code(),
      absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace moesaic::kernels
