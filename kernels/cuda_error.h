#pragma once

#include <cuda_runtime_api.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace moesaic::kernels::cuda {

/// OK, or Internal with CUDA's words (ResourceExhausted for want of memory).
inline absl::Status ToStatus(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return absl::OkStatus();
  const std::string text = absl::StrCat(what, ": ", cudaGetErrorString(error));
  if (error == cudaErrorMemoryAllocation) return absl::ResourceExhaustedError(text);
  return absl::InternalError(text);
}

/// The error of the kernel launches since the last call.
inline absl::Status LaunchStatus(const char* what) { return ToStatus(cudaGetLastError(), what); }

/// Makes `index` the calling thread's device for a scope.
class DeviceScope {
 public:
  explicit DeviceScope(int index) {
    cudaGetDevice(&previous_);
    if (index != previous_) cudaSetDevice(index);
  }
  ~DeviceScope() { cudaSetDevice(previous_); }
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

 private:
  int previous_ = 0;
};

}  // namespace moesaic::kernels::cuda
