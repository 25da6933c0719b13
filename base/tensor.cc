#include "base/tensor.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/device_memory.h"

namespace moesaic::base {
namespace {

constexpr std::size_t kAlignment = 64;  // one cache line, and one AVX-512 vector
constexpr std::size_t kHugePage = std::size_t{2} << 20;
/// From here on memory comes from the kernel: zeroed lazily, so that a large cache costs only what
/// is used of it, given back at once, and in huge pages.
constexpr std::size_t kMapBytes = kHugePage;

/// Bytes to map for `bytes`: whole huge pages where the last would be at least half used, for
/// weights in huge pages are read up to half as fast again as in small ones.
std::size_t MappedBytes(std::size_t bytes) {
  const std::size_t tail = bytes % kHugePage;
  return tail < kHugePage / 2 ? bytes : bytes - tail + kHugePage;
}

/// A mapping that begins at a huge page: one that is too long by a page, and cut to size.
void* MapHuge(std::size_t bytes) {
  const std::size_t reserved = bytes + kHugePage;
  void* data =
      ::mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return nullptr;
  char* const begin = static_cast<char*>(data);
  const std::size_t misaligned = reinterpret_cast<std::uintptr_t>(begin) % kHugePage;
  const std::size_t before = misaligned == 0 ? 0 : kHugePage - misaligned;
  const std::size_t page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t used = (bytes + page - 1) / page * page;
  if (before > 0) ::munmap(begin, before);
  ::munmap(begin + before + used, reserved - before - used);
  ::madvise(begin + before, used, MADV_HUGEPAGE);
  return begin + before;
}

void* AllocateZeroed(std::size_t bytes) {
  if (bytes > static_cast<std::size_t>(PTRDIFF_MAX)) return nullptr;
  if (bytes >= kMapBytes) return MapHuge(MappedBytes(bytes));
  const std::size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  void* data = std::aligned_alloc(kAlignment, rounded);
  if (data != nullptr) std::memset(data, 0, rounded);
  return data;
}

void Release(void* data, std::size_t bytes, Device device) {
  if (device.kind != DeviceKind::kCpu) {
    if (data != nullptr) CudaMemory()->Release(data, device.index);
  } else if (bytes >= kMapBytes) {
    ::munmap(data, MappedBytes(bytes));
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
