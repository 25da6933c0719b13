#include "kernels/backends.h"

#include <cstdint>

namespace moesaic::kernels {

absl::Status CheckStream(base::Device tensors, const base::Stream& stream) {
  if (stream.device() == tensors) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "kernels: the stream belongs to another device than the tensors");
}

absl::Status CheckWorkspace(const base::TensorView& workspace, std::size_t bytes,
                            base::Device device) {
  constexpr std::uintptr_t kAlignment = 64;
  if (bytes > 0 &&
      (workspace.data == nullptr || workspace.bytes() < bytes || workspace.device != device ||
       reinterpret_cast<std::uintptr_t>(workspace.data) % kAlignment != 0)) {
    return absl::ResourceExhaustedError(
        "kernels: the workspace is too small, misaligned or on another device");
  }
  return absl::OkStatus();
}

}  // namespace moesaic::kernels
