#include "monitoring/process_metrics.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <sstream>

#include "monitoring/raise_to.h"

namespace moesaic::monitoring {
namespace {

/// Fields of /proc/self/stat behind the command's name, which may hold blanks itself.
struct ProcessStat {
  double cpu_seconds = 0;
  double resident_bytes = 0;
  double threads = 0;
};

ProcessStat ReadStat() {
  std::ifstream file("/proc/self/stat");
  std::string line;
  std::getline(file, line);
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream fields(line.substr(name_end + 1));
  std::string skipped;
  std::uint64_t value[3] = {};  // utime, stime, then what follows
  // state is field 3; utime 14, stime 15, num_threads 20, rss 24 (man proc_pid_stat).
  for (int field = 3; field < 14; ++field) fields >> skipped;
  fields >> value[0] >> value[1];
  for (int field = 16; field < 20; ++field) fields >> skipped;
  fields >> value[2];
  for (int field = 21; field < 24; ++field) fields >> skipped;
  std::uint64_t pages = 0;
  fields >> pages;
  return {.cpu_seconds = static_cast<double>(value[0] + value[1]) /
                         static_cast<double>(::sysconf(_SC_CLK_TCK)),
          .resident_bytes = static_cast<double>(pages) * static_cast<double>(::getpagesize()),
          .threads = static_cast<double>(value[2])};
}

int CountOpenFiles() {
  DIR* directory = ::opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  int entries = 0;
  while (::readdir(directory) != nullptr) ++entries;
  ::closedir(directory);
  return std::max(0, entries - 3);  // ".", ".." and the directory itself
}

struct NetworkBytes {
  double received = 0;
  double sent = 0;
};

NetworkBytes ReadNetworkBytes() {
  std::ifstream file("/proc/self/net/dev");
  NetworkBytes sum;
  std::string line;
  while (std::getline(file, line)) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;  // the two lines of headings
    std::istringstream fields(line.substr(colon + 1));
    double received = 0, sent = 0;
    std::string skipped;
    fields >> received;
    for (int field = 1; field < 8; ++field) fields >> skipped;
    fields >> sent;
    sum.received += received;
    sum.sent += sent;
  }
  return sum;
}

}  // namespace

void ProcessMetrics::Export(Registry& registry, const std::string& version, const std::string& role,
                            const std::string& numerics_id) {
  registry.Get(metrics::kBuildInfo, {version, role, numerics_id}).Set(1);
  registry.Get(metrics::kStartTimeSeconds).Set(absl::ToUnixMicros(clock_.Now()) * 1e-6);
  registry.OnScrape([this, &registry] { Refresh(registry); });
}

void ProcessMetrics::Loaded() {
  base::MutexLock lock(mutex_);
  loaded_ = std::min(loaded_, clock_.Monotonic() - started_);
}

void ProcessMetrics::StartDrain() {
  base::MutexLock lock(mutex_);
  draining_ = std::min(draining_, clock_.Monotonic());
}

void ProcessMetrics::Refresh(Registry& registry) {
  const ProcessStat stat = ReadStat();
  RaiseTo(stat.cpu_seconds, registry.Get(metrics::kProcessCpuSecondsTotal));
  registry.Get(metrics::kProcessResidentBytes).Set(stat.resident_bytes);
  registry.Get(metrics::kProcessThreads).Set(stat.threads);
  registry.Get(metrics::kProcessOpenFiles).Set(CountOpenFiles());
  const NetworkBytes network = ReadNetworkBytes();
  RaiseTo(network.received, registry.Get(metrics::kNetworkReceivedBytesTotal));
  RaiseTo(network.sent, registry.Get(metrics::kNetworkSentBytesTotal));
  gpus_.Refresh(registry);
  base::MutexLock lock(mutex_);
  registry.Get(metrics::kModelLoadSeconds)
      .Set(loaded_ == absl::InfiniteDuration() ? 0 : absl::ToDoubleSeconds(loaded_));
  registry.Get(metrics::kDrainSeconds)
      .Set(draining_ == absl::InfiniteDuration()
               ? 0
               : absl::ToDoubleSeconds(clock_.Monotonic() - draining_));
}

}  // namespace moesaic::monitoring
