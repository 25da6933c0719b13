#pragma once

#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/check.h"

namespace moesaic::fuzz {

/// A folder in memory (/dev/shm) for the files that an entry reads, removed at the end of the
/// process.
class ScratchFolder {
 public:
  ScratchFolder() : path_("/dev/shm/moesaic-fuzz-XXXXXX") {
    MOESAIC_CHECK(mkdtemp(path_.data()) != nullptr);
  }
  ~ScratchFolder() { std::filesystem::remove_all(path_); }

  std::string Path(std::string_view name) const { return path_ + "/" + std::string(name); }
  /// Not crash-safe, and fast.
  void Write(std::string_view name, std::string_view content) const {
    std::FILE* file = std::fopen(Path(name).c_str(), "w");
    MOESAIC_CHECK(file != nullptr);
    MOESAIC_CHECK(std::fwrite(content.data(), 1, content.size(), file) == content.size());
    std::fclose(file);
  }

 private:
  std::string path_;
};

}  // namespace moesaic::fuzz
