#pragma once

#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/stream.h"

/// CUDA's cudaStream_t, so that only .cu files need its headers.
struct CUstream_st;

namespace moesaic::kernels {

/// Number of CUDA devices that can be used: 0 without a driver, or in a build without CUDA.
int CudaDeviceCount();

/// Lets base::Buffer allocate CUDA memory; idempotent, thread-safe. Errors: Unimplemented in a
/// build without CUDA, Unavailable without a device.
absl::Status EnableCudaMemory();

/// A CUDA stream: work of one device in order, never the default stream. Owns the stream;
/// destruction waits for what was enqueued. Enqueue from one thread at a time.
class CudaStream final : public base::Stream {
 public:
  /// Errors: those of EnableCudaMemory, and Unavailable naming CUDA's.
  static absl::StatusOr<std::unique_ptr<CudaStream>> Create(int device_index);
  ~CudaStream() override;
  CudaStream(const CudaStream&) = delete;
  CudaStream& operator=(const CudaStream&) = delete;

  base::Device device() const override { return {base::DeviceKind::kCuda, device_index_}; }
  void OnComplete(absl::AnyInvocable<void()> done) override;
  CUstream_st* handle() const { return handle_; }

 private:
  CudaStream(int device_index, CUstream_st* handle)
      : device_index_(device_index), handle_(handle) {}

  const int device_index_;
  CUstream_st* const handle_;
};

}  // namespace moesaic::kernels
