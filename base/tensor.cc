#include "base/tensor.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/device_memory.h"

namespace moesaic::base {
namespace {

constexpr std::size_t kAlignment = 64;  // one cache line, and one AVX-512 vector
/// From here on memory comes from the kernel: zeroed lazily, so that a large cache costs only what
/// is used of it, and given back at once.
constexpr std::size_t kMapBytes = std::size_t{4} << 20;

void* AllocateZeroed(std::size_t bytes) {
  if (bytes >= kMapBytes) {
    void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) return nullptr;
    ::madvise(data, bytes, MADV_HUGEPAGE);
    return data;
  }
  const std::size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  void* data = std::aligned_alloc(kAlignment, rounded);
  if (data != nullptr) std::memset(data, 0, rounded);
  return data;
}

void Release(void* data, std::size_t bytes, Device device) {
  if (device.kind != DeviceKind::kCpu) {
    if (data != nullptr) CudaMemory()->Release(data, device.index);
  } else if (bytes >= kMapBytes) {
    ::munmap(data, bytes);
  } else {
    std::free(data);
  }
}

}  // namespace

TensorView::TensorView(void* data, DType dtype, absl::Span<const std::int64_t> dims, Device device)
    : data(data), dtype(dtype), device(device), rank(static_cast<int>(dims.size())) {
  MOESAIC_CHECK(dims.size() <= kMaxRank);
  for (std::size_t i = 0; i < dims.size(); ++i) shape[i] = dims[i];
}

std::int64_t TensorView::elements() const {
  std::int64_t n = 1;
  for (int i = 0; i < rank; ++i) n *= shape[i];
  return n;
}

std::size_t TensorView::bytes() const {
  return static_cast<std::size_t>(elements()) * DTypeBytes(dtype);
}

Buffer::~Buffer() { Release(data_, bytes_, device_); }

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      device_(other.device_) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    Release(data_, bytes_, device_);
    data_ = std::exchange(other.data_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
    device_ = other.device_;
  }
  return *this;
}

absl::StatusOr<Buffer> Buffer::Allocate(std::size_t bytes, Device device) {
  if (device.kind != DeviceKind::kCpu && CudaMemory() == nullptr) {
    return absl::UnimplementedError("this program allocates host memory only");
  }
  if (bytes == 0) return Buffer(nullptr, 0, device);
  if (device.kind != DeviceKind::kCpu) {
    absl::StatusOr<void*> data = CudaMemory()->Allocate(bytes, device.index);
    if (!data.ok()) return data.status();
    return Buffer(*data, bytes, device);
  }
  void* data = AllocateZeroed(bytes);
  if (data == nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat("cannot allocate ", bytes, " bytes"));
  }
  return Buffer(data, bytes, device);
}

TensorView Buffer::View(DType dtype, absl::Span<const std::int64_t> dims,
                        std::size_t offset_bytes) const {
  TensorView view(static_cast<char*>(data_) + offset_bytes, dtype, dims, device_);
  MOESAIC_CHECK(offset_bytes + view.bytes() <= bytes_);
  return view;
}

}  // namespace moesaic::base
