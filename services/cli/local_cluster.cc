#include "services/cli/local_cluster.h"

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "http/client.h"
#include "services/cli/cluster_file.h"
#include "services/cli/coordinator_client.h"
#include "services/program_files.h"

namespace moesaic::services {
namespace {

/// How often children and signals are looked at, and progress is asked for while starting.
constexpr absl::Duration kTick = absl::Milliseconds(100);

sigset_t WatchedSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGINT, SIGTERM, SIGCHLD, SIGUSR1}) sigaddset(&signals, signal);
  return signals;
}

constexpr char kShardPrefix[] = "shard-";
constexpr char kExpectShardsFlag[] = "--expect-shards=";

std::string ShardName(int number) { return absl::StrCat(kShardPrefix, number); }

/// Inverse of ShardName; 0 for a child that is no shard.
int ShardNumber(absl::string_view name) {
  int number = 0;
  const bool is_shard = absl::ConsumePrefix(&name, kShardPrefix) && absl::SimpleAtoi(name, &number);
  return is_shard ? number : 0;
}

}  // namespace

void LocalCluster::BlockWatchedSignals() {
  const sigset_t signals = WatchedSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

LocalCluster::LocalCluster(LocalClusterOptions options)
    : options_(std::move(options)),
      supervisor_(options_.restart_delay),
      wanted_shards_(options_.shards),
      told_shards_(options_.shards) {}

std::vector<std::string> LocalCluster::NodeFlags(const std::string& node,
                                                 const std::vector<std::string>& given) const {
  // Every process carries an equal share, the coordinator too, so that all of them together cost
  // what the machine costs. A shard that `moesaic scale` adds counts like one of the first: as it
  // would on a machine more.
  const int processes = options_.shards + 2;
  std::vector<std::string> flags = {"--node=" + node,
                                    absl::StrCat("--node-share=", 1.0 / processes)};
  flags.insert(flags.end(), given.begin(), given.end());
  return flags;
}

ChildSpec LocalCluster::Spec(const std::string& name, const char* program,
                             std::vector<std::string> flags) const {
  ChildSpec spec;
  spec.name = name;
  spec.arguments = {absl::StrCat(ProgramDirectory(), "/", program)};
  spec.arguments.insert(spec.arguments.end(), flags.begin(), flags.end());
  spec.log_path = absl::StrCat(options_.state_dir, "/logs/", name, ".log");
  spec.address_path = absl::StrCat(options_.state_dir, "/run/", name, ".json");
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
    KeepTargets();
    if (done()) return absl::OkStatus();
    const int signal = ::sigtimedwait(&signals, nullptr, &tick);
    if (signal == SIGUSR1) rescale_ = true;
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
  std::vector<std::string> flags = NodeFlags("node-1", options_.coordinator_flags);
  flags.push_back("--listen=127.0.0.1:0");
  flags.push_back(absl::StrCat("--http-listen=127.0.0.1:", options_.console_port));
  flags.push_back(absl::StrCat("--ledger-queue=", options_.state_dir, "/coordinator/ledger"));
  flags.push_back(absl::StrCat(kExpectShardsFlag, options_.shards));
  flags.push_back("--reflection");
  ChildSpec spec = Spec("coordinator", "moesaic-coordinator", std::move(flags));
  spec.address_flags = {{"grpc", "--listen"}, {"http", "--http-listen"}};
  MOESAIC_ASSIGN_OR_RETURN(coordinator_, supervisor_.Start(std::move(spec)));
  return WaitForAddress(coordinator_);
}

absl::Status LocalCluster::StartShard(int number, bool must_start) {
  const std::string name = ShardName(number);
  const int node = options_.nodes > 0 ? (number - 1) % options_.nodes + 1 : number;
  std::vector<std::string> flags = NodeFlags(absl::StrCat("node-", node), options_.shard_flags);
  flags.push_back("--listen=127.0.0.1:0");
  flags.push_back("--http-listen=127.0.0.1:0");
  flags.push_back("--name=" + name);
  flags.push_back("--coordinator=" + coordinator_->Address("grpc"));
  flags.push_back(absl::StrCat("--state-dir=", options_.state_dir, "/", name));
  flags.push_back("--reflection");
  ChildSpec spec = Spec(name, "moesaic-shard", std::move(flags));
  spec.address_flags = {{"grpc", "--listen"}, {"http", "--http-listen"}};
  spec.must_start = must_start;
  return supervisor_.Start(std::move(spec)).status();
}

absl::Status LocalCluster::StartRouter() {
  std::vector<std::string> flags = NodeFlags("node-1", options_.router_flags);
  // The console shows which experts each token used; whoever says otherwise has the last word.
  flags.insert(flags.begin(), "--enable-return-routed-experts=true");
  flags.push_back("--name=router-1");
  flags.push_back("--coordinator=" + coordinator_->Address("grpc"));
  flags.push_back(absl::StrCat("--http-listen=127.0.0.1:", options_.http_port));
  flags.push_back(absl::StrCat("--state-dir=", options_.state_dir, "/router-1"));
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
      "%d of %d shards, %d of %d units loaded", cluster->shards_size(), options_.shards,
      cluster->units_total() - cluster->units_uncovered(), cluster->units_total());
  for (const std::string& warning : cluster->warnings()) absl::StrAppend(&progress, "; ", warning);
  if (progress == last_progress_) return;
  last_progress_ = progress;
  base::LogInfo(progress);
}

absl::Status LocalCluster::WaitUntilHealthy() {
  const base::Clock& clock = base::Clock::Real();
  const absl::Duration until = clock.Monotonic() + options_.start_timeout;
  bool healthy = false;
  MOESAIC_RETURN_IF_ERROR(PollUntil([&] {
    PrintProgress();
    healthy = RouterIsHealthy();
    return healthy || clock.Monotonic() > until;
  }));
  if (healthy || stopping_) return absl::OkStatus();
  return absl::DeadlineExceededError(absl::StrCat("the cluster does not serve after ",
                                                  absl::FormatDuration(options_.start_timeout),
                                                  ": ", last_progress_));
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
  return WriteClusterFile(options_.state_dir,
                          {"http://" + router_->Address("http"), coordinator_->Address("grpc"),
                           ::getpid(), PrometheusUrl(), options_.ledger},
                          supervisor_);
}

std::string LocalCluster::PrometheusUrl() const {
  const Supervisor::Child* prometheus = supervisor_.Find("prometheus");
  return prometheus != nullptr ? "http://" + prometheus->Address("http") : "";
}

void LocalCluster::KeepTargets() {
  if (options_.prometheus.program.empty() || supervisor_.changes() == written_targets_) return;
  written_targets_ = supervisor_.changes();
  const absl::Status written = WritePrometheusTargets(options_.state_dir, supervisor_);
  if (!written.ok()) base::LogWarning(written.ToString());
}

void LocalCluster::Announce() const {
  const std::string url = "http://" + router_->Address("http");
  absl::PrintF("ready: %s (OpenAI API at %s/v1)\n", url, url);
  absl::PrintF("  console     http://%s/console\n", coordinator_->Address("http"));
  absl::PrintF("  gRPC        %s\n  coordinator %s\n  logs        %s/logs\n",
               router_->Address("grpc"), coordinator_->Address("grpc"), options_.state_dir);
  if (!PrometheusUrl().empty()) absl::PrintF("  Prometheus  %s\n", PrometheusUrl());
  std::fflush(stdout);
}

absl::Status LocalCluster::Run() {
  // Not by flag: it may have a password in it, and everybody sees the arguments of a process.
  ::setenv("MOESAIC_LEDGER", options_.ledger.c_str(), /*overwrite=*/1);
  if (!options_.prometheus.program.empty()) {
    MOESAIC_RETURN_IF_ERROR(StartPrometheus(options_.prometheus, supervisor_));
  }
  MOESAIC_RETURN_IF_ERROR(StartCoordinator());
  for (int number = 1; number <= options_.shards && !stopping_; ++number) {
    MOESAIC_RETURN_IF_ERROR(StartShard(number, /*must_start=*/true));
  }
  if (!stopping_) MOESAIC_RETURN_IF_ERROR(StartRouter());
  if (!stopping_) MOESAIC_RETURN_IF_ERROR(WaitUntilHealthy());
  if (stopping_) return absl::OkStatus();
  MOESAIC_RETURN_IF_ERROR(WriteFile());
  Announce();
  return PollUntil([this] {
    KeepUp();
    return false;
  });
}

void LocalCluster::KeepUp() {
  // A death is mended by the supervisor; the file follows the new process ids.
  if (supervisor_.changes() != written_changes_) {
    const absl::Status written = WriteFile();
    if (!written.ok()) base::LogWarning(written.ToString());
  }
  if (std::exchange(rescale_, false)) TakeWantedShards();
  if (told_shards_ != wanted_shards_) TellWantedShards();
  Scale();
}

void LocalCluster::TakeWantedShards() {
  const absl::StatusOr<int> wanted = ReadWantedShards(options_.state_dir);
  if (!wanted.ok()) return base::LogWarning("not scaled: ", wanted.status().ToString());
  base::LogInfo(*wanted, " shards are wanted");
  wanted_shards_ = *wanted;
}

void LocalCluster::TellWantedShards() {
  for (std::string& argument : coordinator_->spec.arguments) {
    if (!absl::StartsWith(argument, kExpectShardsFlag)) continue;
    argument = absl::StrCat(kExpectShardsFlag, wanted_shards_);
  }
  // Tried again until it is there.
  if (ExpectShards(coordinator_->Address("grpc"), wanted_shards_).ok()) {
    told_shards_ = wanted_shards_;
  }
}

void LocalCluster::Scale() {
  for (int number = 1; number <= wanted_shards_; ++number) {
    if (supervisor_.Find(ShardName(number)) != nullptr) continue;
    const absl::Status started = StartShard(number, /*must_start=*/false);
    if (!started.ok()) base::LogWarning(started.ToString());
  }
  for (Supervisor::Child& child : supervisor_.children()) {
    const int number = ShardNumber(child.spec.name);
    if (number <= wanted_shards_ || child.leaving || !MayStop(child)) continue;
    base::LogInfo(child.spec.name, " holds nothing any more and ends");
    supervisor_.Dismiss(child);
  }
}

bool LocalCluster::MayStop(const Supervisor::Child& shard) const {
  if (!shard.served) return true;
  const absl::StatusOr<v1::EvacuateShardResponse> evacuated =
      EvacuateShard(coordinator_->Address("grpc"), shard.spec.name, /*cancel=*/false);
  // The coordinator does not know it when it was down for a lease: then nobody needs it either.
  if (absl::IsNotFound(evacuated.status())) return true;
  return evacuated.ok() && evacuated->held_units() == 0;
}

}  // namespace moesaic::services
