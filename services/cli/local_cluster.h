#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "services/cli/local_prometheus.h"
#include "services/cli/supervisor.h"

namespace moesaic::services {

/// A cluster of this machine's own: how many of what, and what its processes are told.
struct LocalClusterOptions {
  int shards = 3;
  int nodes = 0;  ///< Node labels, given to shards in turn; 0 = every shard has one of its own.
  int http_port = 8000;
  int console_port = 0;
  absl::Duration restart_delay = absl::Seconds(2);
  /// Loading hundreds of gigabytes from a slow disk takes long.
  absl::Duration start_timeout = absl::Hours(1);
  std::string state_dir;
  std::string ledger;  ///< Of router and coordinator, as --ledger has it.
  LocalPrometheusOptions prometheus;
  std::vector<std::string> router_flags;
  std::vector<std::string> shard_flags;
  std::vector<std::string> coordinator_flags;
};

/// A cluster of child processes, from the first start to the last stop. Single-thread: the main
/// thread, with BlockWatchedSignals done before any other thread starts.
class LocalCluster {
 public:
  /// Signals it waits for: those that end it, deaths of children, and SIGUSR1, which says that
  /// another number of shards is wanted (cluster_file.h).
  static void BlockWatchedSignals();

  explicit LocalCluster(LocalClusterOptions options);

  /// Starts everything, waits until it serves, then keeps it alive until a signal comes.
  /// Errors: why it could not start.
  absl::Status Run();
  /// Ends all processes; what they are answering may finish within `grace`.
  void Stop(absl::Duration grace) { supervisor_.StopAll(grace); }

 private:
  absl::Status StartCoordinator();
  absl::Status StartShard(int number, bool must_start);
  absl::Status StartRouter();
  /// The flags of a process after those that say where it runs, and its share of this machine's
  /// price; what the user said of that comes after and wins.
  std::vector<std::string> NodeFlags(const std::string& node,
                                     const std::vector<std::string>& given) const;
  ChildSpec Spec(const std::string& name, const char* program,
                 std::vector<std::string> flags) const;
  /// Polls the supervisor once a tick until `done` or until a signal sets stopping_.
  absl::Status PollUntil(absl::FunctionRef<bool()> done);
  absl::Status WaitForAddress(const Supervisor::Child* child);
  void PrintProgress();
  bool RouterIsHealthy() const;
  absl::Status WaitUntilHealthy();
  /// Prometheus follows the processes that come and go, also while the cluster starts.
  void KeepTargets();
  /// What is done once a tick while everything runs.
  void KeepUp();
  void TakeWantedShards();
  /// The coordinator knows how many are wanted, also after a restart.
  void TellWantedShards();
  /// Starts what is missing, and ends a surplus shard once others hold what it held.
  void Scale();
  bool MayStop(const Supervisor::Child& shard) const;
  absl::Status WriteFile();
  std::string PrometheusUrl() const;
  void Announce() const;

  const LocalClusterOptions options_;
  Supervisor supervisor_;
  Supervisor::Child* coordinator_ = nullptr;
  Supervisor::Child* router_ = nullptr;
  int wanted_shards_;
  int told_shards_;  ///< What the coordinator takes for wanted_shards_.
  std::string last_progress_;
  int written_changes_ = 0;
  int written_targets_ = 0;  ///< supervisor_.changes() as of the last targets file.
  bool stopping_ = false;    ///< A signal asked to stop.
  bool rescale_ = false;     ///< A signal said that another number of shards is wanted.
};

}  // namespace moesaic::services
