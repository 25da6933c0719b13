// moesaic up: a whole cluster on this machine, as child processes.

#include <sys/stat.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "model/inspect.h"
#include "services/cli/cluster_file.h"
#include "services/cli/commands.h"
#include "services/cli/local_cluster.h"
#include "services/cli/local_prometheus.h"
#include "services/flags/coordinator_flags.h"
#include "services/flags/router_flags.h"
#include "services/flags/shard_flags.h"
#include "services/process.h"
#include "services/program_files.h"

namespace moesaic::services {
namespace {

/// Answers in progress may take this long once a signal has come.
constexpr absl::Duration kStopGrace = absl::Seconds(15);

/// What `up` parses: its own flags, and those of the processes it starts, to be passed on.
struct UpCommandLine {
  explicit UpCommandLine(CLI::App& app)
      : up_table(app), router_table(app), shard_table(app), coordinator_table(app), log_table(app) {
    up.prometheus.share_dir = DefaultShareDir();
    DeclarePrometheus();
    process.DeclareLog(log_table);
    router.Declare(router_table);
    shard.Declare(shard_table);
    coordinator.Declare(coordinator_table);
    up.state_dir = DefaultStateDir();
  }

  /// First of all tables: a flag that a process has as well is passed on, and read here too.
  void DeclarePrometheus() {
    up_table.Add("prometheus", prometheus,
                 "Prometheus to run with the cluster: auto (the one on the search path, if any), "
                 "off, or the path of the program");
    up_table.Add("prometheus-port", up.prometheus.port, "Its port on loopback; 0 = any free one")
        ->check(CLI::Range(0, 65535));
    up_table
        .Add("scrape-interval-s", scrape_interval_s, "Seconds between two looks at every process")
        ->check(CLI::Range(0.1, 3600.0));
    up_table.Add("share-dir", up.prometheus.share_dir,
                 "Folder with rules/ for Prometheus and console/, the page");
  }

  /// Errors: InvalidArgument naming the flag.
  absl::StatusOr<LocalClusterOptions> Resolve() const {
    LocalClusterOptions options = up;
    MOESAIC_ASSIGN_OR_RETURN(options.prometheus.program, FindPrometheus(prometheus));
    if (options.prometheus.program.empty() && prometheus == "auto") {
      base::LogInfo("no program named prometheus is installed: nobody collects the metrics");
    }
    options.prometheus.state_dir = options.state_dir;
    options.prometheus.scrape_interval = absl::Seconds(scrape_interval_s);
    const std::string& ledger = router.options.ledger.url;
    options.ledger = ledger.empty() ? DefaultLedger(options.state_dir) : ledger;
    options.restart_delay = absl::Seconds(restart_delay_s);
    options.start_timeout = absl::Seconds(start_timeout_s);
    options.router_flags = router_table.Given();
    options.shard_flags = shard_table.Given();
    options.coordinator_flags = coordinator_table.Given();
    for (auto* flags : {&options.router_flags, &options.shard_flags, &options.coordinator_flags}) {
      for (const std::string& flag : log_table.Given()) flags->push_back(flag);
      // They are told in another way (LocalCluster::Run).
      std::erase_if(*flags,
                    [](absl::string_view flag) { return absl::StartsWith(flag, "--ledger="); });
    }
    return options;
  }

  LocalClusterOptions up;
  std::string prometheus = "auto";
  double scrape_interval_s = absl::ToDoubleSeconds(up.prometheus.scrape_interval);
  double restart_delay_s = absl::ToDoubleSeconds(up.restart_delay);
  double start_timeout_s = absl::ToDoubleSeconds(up.start_timeout);
  RouterFlags router;
  ShardFlags shard;
  CoordinatorFlags coordinator;
  ProcessFlags process;
  FlagTable up_table;
  FlagTable router_table;
  FlagTable shard_table;
  FlagTable coordinator_table;
  FlagTable log_table;
};

/// Refuses a checkpoint that cannot run before any process is started.
absl::Status CheckModel(const std::string& directory) {
  const model::CheckpointSummary summary = model::InspectDirectory(directory, 1);
  if (summary.problems.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("cannot serve ", directory, ": ", summary.problems.front()));
}

/// Logs may name requests: the folder is the user's alone.
absl::Status MakeStateDir(const std::string& state_dir) {
  MOESAIC_RETURN_IF_ERROR(base::MakeDirectory(state_dir + "/logs"));
  MOESAIC_RETURN_IF_ERROR(base::MakeDirectory(state_dir + "/run"));
  if (::chmod(state_dir.c_str(), 0700) != 0) {
    return absl::InvalidArgumentError(absl::StrCat("--state-dir ", state_dir, " is not ours"));
  }
  return absl::OkStatus();
}

int Up(const UpCommandLine& line) {
  LocalCluster::BlockWatchedSignals();
  line.process.ApplyLog("moesaic up");
  absl::Status status = CheckModel(line.router.model.model_dir);
  if (status.ok()) status = MakeStateDir(line.up.state_dir);
  const absl::StatusOr<LocalClusterOptions> options = line.Resolve();
  if (status.ok()) status = options.status();
  if (!status.ok()) return Fail("up", std::string(status.message())), kExitUsage;
  LocalCluster cluster(*options);
  const absl::Status ended = cluster.Run();
  base::LogInfo("stopping");
  cluster.Stop(kStopGrace);
  if (!ended.ok()) return Fail("up", std::string(ended.message()));
  return kExitOk;
}

}  // namespace

void AddUpCommand(CLI::App& app, Command& run) {
  CLI::App* command = app.add_subcommand(
      "up",
      "Start a whole cluster on this machine; Ctrl-C stops it. Also takes every flag of "
      "router, shard and coordinator and passes it on");
  auto line = std::make_shared<UpCommandLine>(*command);
  LocalClusterOptions& up = line->up;
  command->add_option("--shards", up.shards, "Expert shards")
      ->capture_default_str()
      ->check(CLI::Range(1, 256));
  command->add_option("--nodes", up.nodes, "Label the shards with so many nodes, round-robin")
      ->check(CLI::Range(1, 256));
  command->add_option("--http-port", up.http_port, "Port of the OpenAI API; 0 = any free one")
      ->capture_default_str()
      ->check(CLI::Range(0, 65535));
  command->add_option("--console-port", up.console_port, "Port of the console; 0 = any free one")
      ->capture_default_str()
      ->check(CLI::Range(0, 65535));
  command
      ->add_option("--restart-delay", line->restart_delay_s,
                   "Seconds until a dead child is started again")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 3600.0));
  command
      ->add_option("--start-timeout", line->start_timeout_s,
                   "Give up when the cluster does not serve after so many seconds")
      ->capture_default_str()
      ->check(CLI::Range(1.0, 1e6));
  command->add_option("--state-dir", up.state_dir, "Folder of logs, addresses and remembered state")
      ->capture_default_str();
  command->callback([line, &run] { run = [line] { return Up(*line); }; });
}

}  // namespace moesaic::services
