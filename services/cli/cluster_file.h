#pragma once

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/cli/supervisor.h"

namespace moesaic::services {

/// Where the processes of a local cluster are. `moesaic up` keeps it in its state folder so that
/// the other commands find the cluster. Plain value.
struct ClusterFile {
  std::string http_url;             ///< "http://127.0.0.1:8000"
  std::string coordinator_address;  ///< "127.0.0.1:4001"
  pid_t pid = 0;                    ///< Of `moesaic up`.
  std::string prometheus_url;       ///< Empty when it runs none.
  std::string ledger;               ///< As --ledger has it, "none" included.
};

/// Folder of the local cluster: --state-dir, or one per user that the commands agree on.
std::string DefaultStateDir();

/// The ledger of a local cluster that was given none.
std::string DefaultLedger(const std::string& state_dir);

/// Writes <state_dir>/cluster.json with addresses and process ids, crash-safe.
absl::Status WriteClusterFile(const std::string& state_dir, const ClusterFile& cluster,
                              const Supervisor& supervisor);

/// Errors: NotFound with the hint to start a cluster; DataLoss for a damaged file.
absl::StatusOr<ClusterFile> ReadClusterFile(const std::string& state_dir);

/// Where a process of the local cluster serves HTTP: "http://127.0.0.1:8000". Errors: those of
/// ReadClusterFile; NotFound naming the processes there are.
absl::StatusOr<std::string> ProcessUrl(const std::string& state_dir, const std::string& process);

/// How many shards `moesaic up` is to run, which it reads on SIGUSR1. Crash-safe.
absl::Status WriteWantedShards(const std::string& state_dir, int shards);
/// Errors: NotFound; DataLoss for a damaged file or a number that is out of range.
absl::StatusOr<int> ReadWantedShards(const std::string& state_dir);
/// Shards a local cluster may have.
inline constexpr int kMaxLocalShards = 256;

}  // namespace moesaic::services
