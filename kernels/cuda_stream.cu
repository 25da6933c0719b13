#include <utility>

#include "absl/strings/str_cat.h"
#include "base/device_memory.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "kernels/cuda_error.h"
#include "kernels/cuda_stream.h"

namespace moesaic::kernels {
namespace {

using cuda::DeviceScope;
using cuda::ToStatus;

class RuntimeMemory final : public base::DeviceMemory {
 public:
  absl::StatusOr<void*> Allocate(std::size_t bytes, int index) override {
    DeviceScope scope(index);
    void* data = nullptr;
    MOESAIC_RETURN_IF_ERROR(
        ToStatus(cudaMalloc(&data, bytes), absl::StrCat("cudaMalloc of ", bytes).c_str()));
    if (absl::Status status = ToStatus(cudaMemset(data, 0, bytes), "cudaMemset"); !status.ok()) {
      cudaFree(data);
      return status;
    }
    return data;
  }

  void Release(void* data, int index) override {
    DeviceScope scope(index);
    cudaFree(data);
  }

  absl::Status CopyFromHost(void* to, const void* from, std::size_t bytes, int index) override {
    DeviceScope scope(index);
    return ToStatus(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice), "copy to device");
  }

  absl::Status CopyToHost(void* to, const void* from, std::size_t bytes, int index) override {
    DeviceScope scope(index);
    return ToStatus(cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost), "copy to host");
  }
};

void RunDone(void* raw) {
  std::unique_ptr<absl::AnyInvocable<void()>> done(static_cast<absl::AnyInvocable<void()>*>(raw));
  (*done)();
}

}  // namespace

int CudaDeviceCount() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    cudaGetLastError();  // forget it: no driver is an answer, not a failed launch
    return 0;
  }
  return count;
}

absl::Status EnableCudaMemory() {
  if (CudaDeviceCount() == 0) return absl::UnavailableError("no CUDA device");
  static RuntimeMemory memory;
  base::SetCudaMemory(&memory);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<CudaStream>> CudaStream::Create(int device_index) {
  MOESAIC_RETURN_IF_ERROR(EnableCudaMemory());
  if (device_index < 0 || device_index >= CudaDeviceCount()) {
    return absl::UnavailableError(absl::StrCat("no CUDA device ", device_index));
  }
  DeviceScope scope(device_index);
  cudaStream_t handle = nullptr;
  MOESAIC_RETURN_IF_ERROR(
      ToStatus(cudaStreamCreateWithFlags(&handle, cudaStreamNonBlocking), "cudaStreamCreate"));
  return std::unique_ptr<CudaStream>(new CudaStream(device_index, handle));
}

CudaStream::~CudaStream() {
  DeviceScope scope(device_index_);
  cudaStreamSynchronize(handle_);
  cudaStreamDestroy(handle_);
}

void CudaStream::OnComplete(absl::AnyInvocable<void()> done) {
  DeviceScope scope(device_index_);
  auto held = std::make_unique<absl::AnyInvocable<void()>>(std::move(done));
  const absl::Status status =
      ToStatus(cudaLaunchHostFunc(handle_, RunDone, held.get()), "cudaLaunchHostFunc");
  if (status.ok()) {
    held.release();
    return;
  }
  // A broken device completes nothing more; whoever waits must still hear of it.
  base::LogError("device ", device_index_, ": ", status.ToString());
  (*held)();
}

}  // namespace moesaic::kernels
