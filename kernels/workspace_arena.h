#pragma once

#include <cstddef>
#include <cstdint>

namespace moesaic::kernels {

/// Cuts a workspace into 64-byte aligned arrays. Built on nullptr it hands out nothing usable and
/// only measures, so that WorkspaceBytes and Launch share one description. Single-thread.
class WorkspaceArena {
 public:
  explicit WorkspaceArena(void* base = nullptr) : base_(static_cast<std::byte*>(base)) {}

  /// Room for `count` values of T.
  template <typename T>
  T* Take(std::int64_t count) {
    constexpr std::size_t kAlignment = 64;
    std::byte* start = base_ == nullptr ? nullptr : base_ + bytes_;
    const std::size_t size = static_cast<std::size_t>(count) * sizeof(T);
    bytes_ += (size + kAlignment - 1) / kAlignment * kAlignment;
    return reinterpret_cast<T*>(start);
  }
  /// Bytes taken so far.
  std::size_t bytes() const { return bytes_; }

 private:
  std::byte* base_;
  std::size_t bytes_ = 0;
};

}  // namespace moesaic::kernels
