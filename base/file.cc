#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace moesaic::base {
namespace {

absl::Status ErrnoError(std::string_view what, const std::string& path) {
  const int error = errno;
  const std::string message = absl::StrCat(std::string(what), " ", path, ": ", strerror(error));
  return error == ENOENT ? absl::NotFoundError(message) : absl::DataLossError(message);
}

/// Opens a regular file and returns its descriptor and size.
absl::StatusOr<std::pair<int, std::size_t>> OpenRegular(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoError("cannot open", path);
  struct stat info;
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    return absl::InvalidArgumentError(absl::StrCat(path, " is not a regular file"));
  }
  return std::make_pair(fd, static_cast<std::size_t>(info.st_size));
}

absl::Status WriteAll(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError("cannot write", path);
    content.remove_prefix(static_cast<std::size_t>(n));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, std::size_t max_bytes) {
  MOESAIC_ASSIGN_OR_RETURN(auto opened, OpenRegular(path));
  const auto [fd, size] = opened;
  absl::Cleanup close_fd = [fd = fd] { ::close(fd); };
  if (size > max_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " has ", size, " bytes; the limit is ", max_bytes));
  }
  std::string content(size, '\0');
  std::size_t filled = 0;
  while (filled < size) {
    const ssize_t n = ::read(fd, content.data() + filled, size - filled);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError("cannot read", path);
    if (n == 0) return absl::DataLossError(absl::StrCat(path, " shrank while it was read"));
    filled += static_cast<std::size_t>(n);
  }
  return content;
}

absl::Status WriteFileAtomically(const std::string& path, std::string_view content) {
  return WriteFileAtomically(path, absl::MakeConstSpan(&content, 1));
}

absl::Status WriteFileAtomically(const std::string& path,
                                 absl::Span<const std::string_view> pieces) {
  const std::string temporary = absl::StrCat(path, ".", ::getpid(), ".tmp");
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return ErrnoError("cannot create", temporary);
  absl::Status written = absl::OkStatus();
  for (const std::string_view piece : pieces) {
    if (written.ok()) written = WriteAll(fd, piece, temporary);
  }
  if (written.ok() && ::fsync(fd) != 0) written = ErrnoError("cannot sync", temporary);
  ::close(fd);
  if (written.ok() && std::rename(temporary.c_str(), path.c_str()) != 0) {
    written = ErrnoError("cannot replace", path);
  }
  if (!written.ok()) {
    ::unlink(temporary.c_str());
    return written;
  }
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int folder_fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_fd < 0) return ErrnoError("cannot open", folder);
  absl::Cleanup close_folder = [folder_fd] { ::close(folder_fd); };
  if (::fsync(folder_fd) != 0) return ErrnoError("cannot sync", folder);
  return absl::OkStatus();
}

absl::Status MakeDirectory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot make folder ", path, ": ", error.message()));
  }
  return absl::OkStatus();
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
  if (fd_ >= 0) ::close(fd_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      path_(std::move(other.path_)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(path_, other.path_);
  return *this;
}

absl::StatusOr<MappedFile> MappedFile::Open(const std::string& path) {
  MOESAIC_ASSIGN_OR_RETURN(auto opened, OpenRegular(path));
  const auto [fd, size] = opened;
  MappedFile file;
  file.fd_ = fd;
  file.path_ = path;
  file.size_ = size;
  if (size == 0) return file;  // mmap refuses empty files
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (data == MAP_FAILED) return ErrnoError("cannot map", path);
  file.data_ = data;
  return file;
}

absl::Status MappedFile::Read(absl::Span<const std::byte> mapped, std::byte* to) const {
  auto offset = static_cast<off_t>(mapped.data() - bytes().data());
  std::size_t left = mapped.size();
  while (left > 0) {
    const ssize_t n = ::pread(fd_, to, left, offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError("cannot read", path_);
    if (n == 0) return absl::DataLossError(absl::StrCat(path_, " has shrunk"));
    to += n;
    offset += n;
    left -= static_cast<std::size_t>(n);
  }
  return absl::OkStatus();
}

}  // namespace moesaic::base
