#include "base/memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

namespace moesaic::base {
namespace {

/// MemAvailable of /proc/meminfo.
std::optional<std::uint64_t> SystemAvailable() {
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  std::uint64_t kib = 0;
  while (file >> key >> kib) {
    std::getline(file, unit);
    if (key == "MemAvailable:") return kib * 1024;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> ReadNumber(const char* path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;  // absent, or "max"
}

/// Limit minus use of the cgroup (version 2) this process sees as its root.
std::optional<std::uint64_t> CgroupAvailable() {
  const auto limit = ReadNumber("/sys/fs/cgroup/memory.max");
  const auto used = ReadNumber("/sys/fs/cgroup/memory.current");
  if (!limit || !used) return std::nullopt;
  return *limit > *used ? *limit - *used : 0;
}

}  // namespace

absl::StatusOr<std::uint64_t> AvailableMemoryBytes() {
  constexpr std::uint64_t kUnknown = std::numeric_limits<std::uint64_t>::max();
  const std::uint64_t available =
      std::min(SystemAvailable().value_or(kUnknown), CgroupAvailable().value_or(kUnknown));
  if (available == kUnknown) return absl::InternalError("cannot tell how much memory is available");
  return available;
}

}  // namespace moesaic::base
