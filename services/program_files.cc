#include "services/program_files.h"

#include <filesystem>

namespace moesaic::services {

std::string ProgramDirectory() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
}

std::string DefaultShareDir() {
  const std::filesystem::path installed =
      std::filesystem::path(ProgramDirectory()).parent_path() / "share" / "moesaic";
  std::error_code error;
  return std::filesystem::is_directory(installed, error) ? installed.string()
                                                         : MOESAIC_SOURCE_SHARE_DIR;
}

}  // namespace moesaic::services
