#include "model/safetensors.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "model/safetensors_header.h"

namespace moesaic::model {
namespace {

constexpr std::size_t kLengthBytes = 8;
// The format's own limit.
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;

/// The format is little-endian whatever the machine is.
std::uint64_t ReadLittleEndian64(const std::byte* bytes) {
  std::uint64_t value = 0;
  for (int i = kLengthBytes - 1; i >= 0; --i) {
    value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  }
  return value;
}

/// Sorts by position and checks that the tensors cover [0, data_bytes) without holes or overlaps.
absl::Status CheckTiling(std::vector<TensorInfo>& tensors, std::size_t data_bytes,
                         const std::string& path) {
  std::ranges::sort(tensors, {}, [](const TensorInfo& tensor) {
    return std::tuple(tensor.begin, tensor.end, std::string_view(tensor.name));
  });
  std::size_t position = 0;
  for (const TensorInfo& tensor : tensors) {
    if (tensor.begin != position) {
      return absl::DataLossError(absl::StrCat(
          path, ": tensor '", tensor.name, "': begins at ", tensor.begin, " where ", position,
          " is expected: data ", tensor.begin < position ? "overlap" : "have a hole"));
    }
    if (tensor.end > data_bytes) {
      return absl::DataLossError(absl::StrCat(path, ": tensor '", tensor.name, "': ends at ",
                                              tensor.end, " beyond the ", data_bytes,
                                              " bytes of data in the file"));
    }
    position = tensor.end;
  }
  if (position != data_bytes) {
    return absl::DataLossError(
        absl::StrCat(path, ": ", data_bytes - position, " bytes after the last tensor"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  SafetensorsFile file;
  MOESAIC_ASSIGN_OR_RETURN(file.file_, base::MappedFile::Open(path));
  MOESAIC_RETURN_IF_ERROR(file.ParseHeader());
  return file;
}

absl::Status SafetensorsFile::ParseHeader() {
  const absl::Span<const std::byte> bytes = file_.bytes();
  if (bytes.size() < kLengthBytes) {
    return absl::DataLossError(absl::StrCat(path(), ": shorter than a safetensors length field"));
  }
  const std::uint64_t header_bytes = ReadLittleEndian64(bytes.data());
  if (header_bytes > kMaxHeaderBytes) {
    return absl::DataLossError(absl::StrCat(path(), ": header of ", header_bytes,
                                            " bytes is above the limit of ", kMaxHeaderBytes));
  }
  if (header_bytes > bytes.size() - kLengthBytes) {
    return absl::DataLossError(absl::StrCat(path(), ": header of ", header_bytes,
                                            " bytes does not fit in the file of ", bytes.size()));
  }
  header_ = {reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, header_bytes};
  data_offset_ = kLengthBytes + header_bytes;
  MOESAIC_ASSIGN_OR_RETURN(tensors_, ParseSafetensorsHeader(header_, path()));
  MOESAIC_RETURN_IF_ERROR(CheckTiling(tensors_, bytes.size() - data_offset_, path()));
  for (std::size_t i = 0; i < tensors_.size(); ++i) by_name_.emplace(tensors_[i].name, i);
  return absl::OkStatus();
}

const TensorInfo* SafetensorsFile::Find(std::string_view name) const {
  const auto it = by_name_.find(base::ToAbsl(name));
  return it == by_name_.end() ? nullptr : &tensors_[it->second];
}

absl::Span<const std::byte> SafetensorsFile::Bytes(const TensorInfo& tensor) const {
  return file_.bytes().subspan(data_offset_ + tensor.begin, tensor.bytes());
}

bool SafetensorsFile::Maps(const void* bytes) const {
  const auto* const at = static_cast<const std::byte*>(bytes);
  const absl::Span<const std::byte> all = file_.bytes();
  return std::less_equal<>()(all.data(), at) && std::less<>()(at, all.data() + all.size());
}

absl::StatusOr<base::TensorView> SafetensorsFile::View(const TensorInfo& tensor) const {
  if (!tensor.dtype) {
    return absl::UnimplementedError(absl::StrCat(path(), ": tensor '", tensor.name,
                                                 "': element type ", tensor.dtype_name,
                                                 " is not supported"));
  }
  if (tensor.shape.size() > base::TensorView::kMaxRank) {
    return absl::UnimplementedError(absl::StrCat(path(), ": tensor '", tensor.name,
                                                 "': ", tensor.shape.size(),
                                                 " dimensions are not supported"));
  }
  if (reinterpret_cast<std::uintptr_t>(Bytes(tensor).data()) % base::DTypeBytes(*tensor.dtype) !=
      0) {
    return absl::UnimplementedError(absl::StrCat(path(), ": tensor '", tensor.name,
                                                 "': its data are not aligned to its elements; "
                                                 "write the file again with safetensors >= 0.3"));
  }
  // Views are not const-correct: whoever reads weights only reads them, and the map is read-only.
  void* data = const_cast<std::byte*>(Bytes(tensor).data());
  return base::TensorView(data, *tensor.dtype, tensor.shape);
}

}  // namespace moesaic::model
