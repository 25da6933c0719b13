// moesaic up: a whole cluster on this machine, as child processes.

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "http/client.h"
#include "model/inspect.h"
#include "services/cli/cluster_file.h"
#include "services/cli/commands.h"
#include "services/cli/coordinator_client.h"
#include "services/cli/supervisor.h"
#include "services/flags/coordinator_flags.h"
#include "services/flags/router_flags.h"
#include "services/flags/shard_flags.h"
#include "services/process.h"

namespace moesaic::services {
namespace {

/// How often children and signals are looked at, and progress is asked for while starting.
constexpr absl::Duration kTick = absl::Milliseconds(100);
/// Answers in progress may take this long once a signal has come.
constexpr absl::Duration kStopGrace = absl::Seconds(15);

struct UpFlags {
  int shards = 3;
  int nodes = 0;  ///< 0 = as many as shards.
  int http_port = 8000;
  double restart_delay_s = 2;
  double start_timeout_s = 3600;  ///< Loading hundreds of gigabytes from a slow disk takes long.
  std::string state_dir = DefaultStateDir();
};

/// What `up` parses: its own flags, and those of the processes it starts, to be passed on.
struct UpCommandLine {
  explicit UpCommandLine(CLI::App& app)
      : router_table(app), shard_table(app), coordinator_table(app) {
    router.Declare(router_table);
    shard.Declare(shard_table);
    coordinator.Declare(coordinator_table);
  }

  UpFlags up;
  RouterFlags router;
  ShardFlags shard;
  CoordinatorFlags coordinator;
  FlagTable router_table;
  FlagTable shard_table;
  FlagTable coordinator_table;
};

/// A cluster of child processes, from the first start to the last stop. Single-thread.
class LocalCluster {
 public:
  explicit LocalCluster(const UpCommandLine& line)
      : line_(line), supervisor_(absl::Seconds(line.up.restart_delay_s)) {}

  /// Starts everything, waits until it serves, then keeps it alive until a signal comes.
  /// Errors: why it could not start.
  absl::Status Run();
  /// Ends all processes; what they are answering may finish within kStopGrace.
  void Stop() { supervisor_.StopAll(kStopGrace); }

 private:
  absl::Status StartCoordinator();
  absl::Status StartShards();
  absl::Status StartRouter();
  ChildSpec Spec(const std::string& name, const char* program,
                 std::vector<std::string> flags) const;
  /// Polls the supervisor once a tick until `done` or until a signal sets stopping_.
  absl::Status PollUntil(absl::FunctionRef<bool()> done);
  absl::Status WaitForAddress(const Supervisor::Child* child);
  void PrintProgress();
  bool RouterIsHealthy() const;
  absl::Status WaitUntilHealthy();
  absl::Status WriteFile();
  void Announce() const;

  const UpCommandLine& line_;
  Supervisor supervisor_;
  Supervisor::Child* coordinator_ = nullptr;
  Supervisor::Child* router_ = nullptr;
  std::string last_progress_;
  int written_changes_ = 0;
  bool stopping_ = false;  ///< A signal asked to stop.
};

sigset_t WatchedSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGINT, SIGTERM, SIGCHLD}) sigaddset(&signals, signal);
  return signals;
}

/// The folder this program was started from, where its siblings are.
std::string ProgramDirectory() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
}

ChildSpec LocalCluster::Spec(const std::string& name, const char* program,
                             std::vector<std::string> flags) const {
  ChildSpec spec;
  spec.name = name;
  spec.arguments = {absl::StrCat(ProgramDirectory(), "/", program)};
  spec.arguments.insert(spec.arguments.end(), flags.begin(), flags.end());
  spec.log_path = absl::StrCat(line_.up.state_dir, "/logs/", name, ".log");
  spec.address_path = absl::StrCat(line_.up.state_dir, "/run/", name, ".json");
  std::error_code error;
  std::filesystem::remove(spec.address_path, error);  // of an earlier cluster
  std::filesystem::remove(spec.log_path, error);
  return spec;
}

absl::Status LocalCluster::PollUntil(absl::FunctionRef<bool()> done) {
  const sigset_t signals = WatchedSignals();
  const timespec tick = absl::ToTimespec(kTick);
  while (true) {
    MOESAIC_RETURN_IF_ERROR(supervisor_.Poll());
    if (done()) return absl::OkStatus();
    const int signal = ::sigtimedwait(&signals, nullptr, &tick);
    if (signal == SIGINT || signal == SIGTERM) {
      stopping_ = true;
      return absl::OkStatus();
    }
  }
}

absl::Status LocalCluster::WaitForAddress(const Supervisor::Child* child) {
  return PollUntil([child] { return child->served; });
}

absl::Status LocalCluster::StartCoordinator() {
  std::vector<std::string> flags = line_.coordinator_table.Given();
  flags.push_back("--listen=127.0.0.1:0");
  flags.push_back(absl::StrCat("--expect-shards=", line_.up.shards));
  flags.push_back("--reflection");
  ChildSpec spec = Spec("coordinator", "moesaic-coordinator", std::move(flags));
  spec.address_flags = {{"grpc", "--listen"}};
  MOESAIC_ASSIGN_OR_RETURN(coordinator_, supervisor_.Start(std::move(spec)));
  return WaitForAddress(coordinator_);
}

absl::Status LocalCluster::StartShards() {
  const int nodes = line_.up.nodes > 0 ? line_.up.nodes : line_.up.shards;
  for (int i = 0; i < line_.up.shards; ++i) {
    const std::string name = absl::StrCat("shard-", i + 1);
    std::vector<std::string> flags = line_.shard_table.Given();
    flags.push_back("--listen=127.0.0.1:0");
    flags.push_back("--name=" + name);
    flags.push_back(absl::StrCat("--node=node-", i % nodes + 1));
    flags.push_back("--coordinator=" + coordinator_->Address("grpc"));
    flags.push_back(absl::StrCat("--state-dir=", line_.up.state_dir, "/", name));
    flags.push_back("--reflection");
    ChildSpec spec = Spec(name, "moesaic-shard", std::move(flags));
    spec.address_flags = {{"grpc", "--listen"}};
    MOESAIC_RETURN_IF_ERROR(supervisor_.Start(std::move(spec)).status());
  }
  return absl::OkStatus();
}

absl::Status LocalCluster::StartRouter() {
  std::vector<std::string> flags = line_.router_table.Given();
  flags.push_back("--name=router-1");
  flags.push_back("--coordinator=" + coordinator_->Address("grpc"));
  flags.push_back(absl::StrCat("--http-listen=127.0.0.1:", line_.up.http_port));
  flags.push_back(absl::StrCat("--state-dir=", line_.up.state_dir, "/router-1"));
  flags.push_back("--reflection");
  ChildSpec spec = Spec("router-1", "moesaic-router", std::move(flags));
  spec.address_flags = {{"http", "--http-listen"}, {"grpc", "--listen"}};
  MOESAIC_ASSIGN_OR_RETURN(router_, supervisor_.Start(std::move(spec)));
  return WaitForAddress(router_);
}

void LocalCluster::PrintProgress() {
  const absl::StatusOr<v1::DescribeClusterResponse> cluster =
      DescribeCluster(coordinator_->Address("grpc"));
  if (!cluster.ok() || cluster->units_total() == 0) return;
  std::string progress = absl::StrFormat(
      "%d of %d shards, %d of %d units loaded", cluster->shards_size(), line_.up.shards,
      cluster->units_total() - cluster->units_uncovered(), cluster->units_total());
  for (const std::string& warning : cluster->warnings()) absl::StrAppend(&progress, "; ", warning);
  if (progress == last_progress_) return;
  last_progress_ = progress;
  base::LogInfo(progress);
}

absl::Status LocalCluster::WaitUntilHealthy() {
  const base::Clock& clock = base::Clock::Real();
  const absl::Duration until = clock.Monotonic() + absl::Seconds(line_.up.start_timeout_s);
  bool healthy = false;
  MOESAIC_RETURN_IF_ERROR(PollUntil([&] {
    PrintProgress();
    healthy = RouterIsHealthy();
    return healthy || clock.Monotonic() > until;
  }));
  if (healthy || stopping_) return absl::OkStatus();
  return absl::DeadlineExceededError(absl::StrCat(
      "the cluster does not serve after ", line_.up.start_timeout_s, " s: ", last_progress_));
}

bool LocalCluster::RouterIsHealthy() const {
  if (!router_->served || router_->pid == 0) return false;
  const auto client = http::Client::Create("http://" + router_->Address("http"));
  if (!client.ok()) return false;
  const auto response = client->Get("/health");
  return response.ok() && response->status == 200;
}

absl::Status LocalCluster::WriteFile() {
  written_changes_ = supervisor_.changes();
  return WriteClusterFile(line_.up.state_dir,
                          {"http://" + router_->Address("http"), coordinator_->Address("grpc")},
                          supervisor_);
}

void LocalCluster::Announce() const {
  const std::string url = "http://" + router_->Address("http");
  absl::PrintF("ready: %s (OpenAI API at %s/v1)\n", url, url);
  absl::PrintF("  gRPC        %s\n  coordinator %s\n  logs        %s/logs\n",
               router_->Address("grpc"), coordinator_->Address("grpc"), line_.up.state_dir);
  std::fflush(stdout);
}

absl::Status LocalCluster::Run() {
  MOESAIC_RETURN_IF_ERROR(StartCoordinator());
  if (!stopping_) MOESAIC_RETURN_IF_ERROR(StartShards());
  if (!stopping_) MOESAIC_RETURN_IF_ERROR(StartRouter());
  if (!stopping_) MOESAIC_RETURN_IF_ERROR(WaitUntilHealthy());
  if (stopping_) return absl::OkStatus();
  MOESAIC_RETURN_IF_ERROR(WriteFile());
  Announce();
  // From here on a death is mended, and the file follows the new process ids.
  return PollUntil([this] {
    if (supervisor_.changes() != written_changes_) {
      const absl::Status written = WriteFile();
      if (!written.ok()) base::LogWarning(written.ToString());
    }
    return false;
  });
}

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
  const sigset_t signals = WatchedSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  absl::Status status = CheckModel(line.router.model.model_dir);
  if (status.ok()) status = MakeStateDir(line.up.state_dir);
  if (!status.ok()) return Fail("up", std::string(status.message())), kExitUsage;
  LocalCluster cluster(line);
  const absl::Status ended = cluster.Run();
  base::LogInfo("stopping");
  cluster.Stop();
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
  UpFlags& up = line->up;
  command->add_option("--shards", up.shards, "Expert shards")
      ->capture_default_str()
      ->check(CLI::Range(1, 256));
  command->add_option("--nodes", up.nodes, "Label the shards with so many nodes, round-robin")
      ->check(CLI::Range(1, 256));
  command->add_option("--http-port", up.http_port, "Port of the OpenAI API; 0 = any free one")
      ->capture_default_str()
      ->check(CLI::Range(0, 65535));
  command
      ->add_option("--restart-delay", up.restart_delay_s,
                   "Seconds until a dead child is started again")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 3600.0));
  command
      ->add_option("--start-timeout", up.start_timeout_s,
                   "Give up when the cluster does not serve after so many seconds")
      ->capture_default_str()
      ->check(CLI::Range(1.0, 1e6));
  command->add_option("--state-dir", up.state_dir, "Folder of logs, addresses and remembered state")
      ->capture_default_str();
  command->callback([line, &run] { run = [line] { return Up(*line); }; });
}

}  // namespace moesaic::services
