#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/dtype.h"
#include "base/file.h"
#include "base/tensor.h"

namespace moesaic::model {

/// One entry of a safetensors header.
struct TensorInfo {
  std::string name;
  std::string dtype_name;            ///< As written: "BF16", "F8_E4M3", …
  std::optional<base::DType> dtype;  ///< Empty for legal element types we cannot compute with.
  std::vector<std::int64_t> shape;   ///< Empty for a scalar.
  std::size_t begin = 0;             ///< Offsets in bytes from the start of the data section.
  std::size_t end = 0;

  std::size_t bytes() const { return end - begin; }
};

/// A memory-mapped safetensors file whose whole structure was checked on opening: header length
/// (≤ 100 MB), JSON, names, types, shapes, and that the tensors tile the data section without
/// holes or overlaps. Only header pages are read; tensor pages are read when touched. Immutable.
class SafetensorsFile {
 public:
  /// Errors: those of MappedFile::Open, and DataLoss naming the file and, where there is one, the
  /// tensor.
  static absl::StatusOr<SafetensorsFile> Open(const std::string& path);

  const std::string& path() const { return file_.path(); }
  /// In the order of their data.
  absl::Span<const TensorInfo> tensors() const { return tensors_; }
  /// nullptr when there is none.
  const TensorInfo* Find(std::string_view name) const;
  /// The header as it stands in the file, without its length.
  std::string_view header() const { return header_; }
  /// The bytes of a tensor of this file; valid as long as this object.
  absl::Span<const std::byte> Bytes(const TensorInfo& tensor) const;
  /// Whether `bytes` are mapped from this file.
  bool Maps(const void* bytes) const;
  /// Reads bytes that are mapped from this file (base/file.h).
  absl::Status Read(absl::Span<const std::byte> mapped, std::byte* to) const {
    return file_.Read(mapped, to);
  }
  /// A read-only host view, aligned to its elements and to no more. Errors: Unimplemented for an
  /// element type or rank we cannot hold, and for misaligned data, which only writers older than
  /// safetensors 0.3 make.
  absl::StatusOr<base::TensorView> View(const TensorInfo& tensor) const;

 private:
  absl::Status ParseHeader();

  base::MappedFile file_;
  std::string_view header_;
  std::size_t data_offset_ = 0;
  std::vector<TensorInfo> tensors_;
  absl::flat_hash_map<std::string, std::size_t> by_name_;
};

}  // namespace moesaic::model
