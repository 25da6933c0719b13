#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/dtype.h"

namespace moesaic::base {

enum class DeviceKind : std::uint8_t { kCpu = 0, kCuda = 1 };

/// Where memory lives and work runs. Immutable value.
struct Device {
  DeviceKind kind = DeviceKind::kCpu;
  int index = 0;
  bool operator==(const Device&) const = default;
};

/// A borrowed, row-major, contiguous tensor of up to 4 dimensions in some device's memory.
/// Immutable value; the bytes belong to somebody else. Only kernels dereference `data`.
struct TensorView {
  static constexpr int kMaxRank = 4;

  void* data = nullptr;
  DType dtype = DType::kF32;
  Device device;
  int rank = 0;
  std::int64_t shape[kMaxRank] = {0, 0, 0, 0};

  TensorView() = default;
  TensorView(void* data, DType dtype, absl::Span<const std::int64_t> dims, Device device = {});
  /// A host tensor over `data`: TensorView::Host(ptr, {rows, cols}).
  template <typename T>
  static TensorView Host(T* data, std::initializer_list<std::int64_t> dims);

  std::int64_t dim(int i) const { return shape[i]; }
  std::int64_t elements() const;
  std::size_t bytes() const;
  /// Requires: the element type matches (checked by size only) and the device is the host.
  template <typename T>
  T* As() const {
    return static_cast<T*>(data);
  }
};

/// Owned memory of one device, aligned to 64 bytes, zero-filled on the host (large ones by the
/// kernel, page by page as they are touched). Movable, not copyable;
/// thread-compatible. Never grows: allocate for the largest case once and reuse it.
class Buffer {
 public:
  Buffer() = default;
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;

  /// Errors: ResourceExhausted naming the size; Unimplemented for a device this build lacks.
  static absl::StatusOr<Buffer> Allocate(std::size_t bytes, Device device = {});

  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  /// A view of the first elements. Requires: it fits.
  TensorView View(DType dtype, absl::Span<const std::int64_t> dims,
                  std::size_t offset_bytes = 0) const;
  template <typename T>
  T* As() const {
    return static_cast<T*>(data_);
  }

 private:
  Buffer(void* data, std::size_t bytes, Device device)
      : data_(data), bytes_(bytes), device_(device) {}

  void* data_ = nullptr;
  std::size_t bytes_ = 0;
  Device device_;
};

template <typename T>
constexpr DType DTypeOf() {
  if constexpr (std::is_same_v<std::remove_cv_t<T>, float>) {
    return DType::kF32;
  } else if constexpr (std::is_same_v<std::remove_cv_t<T>, std::uint16_t>) {
    return DType::kBF16;
  } else if constexpr (std::is_same_v<std::remove_cv_t<T>, std::int32_t>) {
    return DType::kI32;
  } else if constexpr (std::is_same_v<std::remove_cv_t<T>, std::int64_t>) {
    return DType::kI64;
  } else {
    static_assert(std::is_same_v<std::remove_cv_t<T>, std::uint8_t>);
    return DType::kU8;
  }
}

template <typename T>
TensorView TensorView::Host(T* data, std::initializer_list<std::int64_t> dims) {
  return TensorView(const_cast<std::remove_cv_t<T>*>(data), DTypeOf<T>(),
                    absl::MakeConstSpan(dims.begin(), dims.size()));
}

}  // namespace moesaic::base
