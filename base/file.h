#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace moesaic::base {

/// Reads a whole file of at most `max_bytes`. Errors name the path: NotFound, InvalidArgument when
/// it is larger or not a regular file, DataLoss when a read fails.
absl::StatusOr<std::string> ReadFile(const std::string& path, std::size_t max_bytes);

/// Replaces `path` so that a crash at any moment leaves the old or the new content whole:
/// temporary file beside it, fsync, rename, fsync of the folder.
absl::Status WriteFileAtomically(const std::string& path, std::string_view content);
/// The same of `pieces` one after another.
absl::Status WriteFileAtomically(const std::string& path,
                                 absl::Span<const std::string_view> pieces);

/// Makes a folder and those above it; one that exists is OK. Errors name the path.
absl::Status MakeDirectory(const std::string& path);

/// A read-only memory map of a file; the mapping lives as long as this object. Touching a page that
/// the disk cannot deliver ends the process (SIGBUS): what is read while serving goes by Read.
/// Immutable.
class MappedFile {
 public:
  MappedFile() = default;
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  /// Errors name the path: NotFound, InvalidArgument (not a regular file), DataLoss.
  static absl::StatusOr<MappedFile> Open(const std::string& path);
  absl::Span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(data_), size_};
  }
  const std::string& path() const { return path_; }
  /// Reads `mapped`, a part of bytes(), from the file into `to`: a failing disk is an error.
  /// Errors: DataLoss naming the path, also when the file has shrunk.
  absl::Status Read(absl::Span<const std::byte> mapped, std::byte* to) const;

 private:
  int fd_ = -1;
  void* data_ = nullptr;
  std::size_t size_ = 0;
  std::string path_;
};

}  // namespace moesaic::base
