#pragma once

#include <cstddef>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace moesaic::base {

/// Memory of the accelerators of one kind, which base cannot reach by itself. Implementations are
/// thread-safe.
class DeviceMemory {
 public:
  virtual ~DeviceMemory() = default;
  /// `bytes` > 0 on device `index`, zero-filled. Errors: ResourceExhausted, Unavailable.
  virtual absl::StatusOr<void*> Allocate(std::size_t bytes, int index) = 0;
  virtual void Release(void* data, int index) = 0;
  /// Returns when the copy is done: for weights at start-up and for tests, not for a step.
  virtual absl::Status CopyFromHost(void* to, const void* from, std::size_t bytes, int index) = 0;
  virtual absl::Status CopyToHost(void* to, const void* from, std::size_t bytes, int index) = 0;
};

/// The memory of CUDA devices; nullptr until one was set.
DeviceMemory* CudaMemory();
/// Called by the CUDA backend when a program starts to use it; `memory` must live until exit.
void SetCudaMemory(DeviceMemory* memory);

}  // namespace moesaic::base
