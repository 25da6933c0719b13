#include "base/device_memory.h"

#include <atomic>

namespace moesaic::base {
namespace {

// The one global of base: a hook for what a lower layer cannot link, set once.
std::atomic<DeviceMemory*> cuda_memory{nullptr};

}  // namespace

DeviceMemory* CudaMemory() { return cuda_memory.load(std::memory_order_acquire); }

void SetCudaMemory(DeviceMemory* memory) { cuda_memory.store(memory, std::memory_order_release); }

}  // namespace moesaic::base
