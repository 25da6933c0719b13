// moesaic scale N: gives a running local cluster another number of shards.

#include <signal.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "services/cli/cluster_file.h"
#include "services/cli/commands.h"
#include "services/cli/coordinator_client.h"
#include "services/process.h"

namespace moesaic::services {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(200);

struct ScaleFlags {
  std::string state_dir = DefaultStateDir();
  int shards = 0;
  double timeout_s = 600;
};

/// Whether `pid` runs the program that we are: a file may outlive its process, and numbers are
/// given again.
bool IsMoesaic(pid_t pid) {
  std::error_code error;
  const auto theirs = std::filesystem::read_symlink(absl::StrCat("/proc/", pid, "/exe"), error);
  const auto ours = std::filesystem::read_symlink("/proc/self/exe", error);
  return !error && theirs == ours;
}

/// Whether exactly the wanted shards are there and each serves, or could but is given nothing;
/// `progress` says how far it is.
absl::StatusOr<bool> Scaled(const ClusterFile& cluster, int wanted, std::string& progress) {
  MOESAIC_ASSIGN_OR_RETURN(const v1::DescribeClusterResponse described,
                           DescribeCluster(cluster.coordinator_address));
  int serving = 0;
  int others = 0;
  for (const v1::ShardStatus& shard : described.shards()) {
    if (shard.state() == "EXPIRED") continue;
    const bool there = shard.state() == "SERVING" || shard.state() == "IDLE";
    (there ? serving : others) += 1;
  }
  progress = absl::StrFormat("%d of %d shards serve, %d come or go", serving, wanted, others);
  return serving == wanted && others == 0 && described.units_uncovered() == 0;
}

absl::Status RunScale(const ScaleFlags& flags) {
  MOESAIC_ASSIGN_OR_RETURN(const ClusterFile cluster, ReadClusterFile(flags.state_dir));
  if (!IsMoesaic(cluster.pid)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the cluster of ", flags.state_dir, " does not run any more"));
  }
  MOESAIC_RETURN_IF_ERROR(WriteWantedShards(flags.state_dir, flags.shards));
  if (::kill(cluster.pid, SIGUSR1) != 0) {
    return absl::UnavailableError(absl::StrCat("process ", cluster.pid, " takes no signal"));
  }
  const absl::Duration until = base::Clock::Real().Monotonic() + absl::Seconds(flags.timeout_s);
  std::string last, progress;
  while (true) {
    MOESAIC_ASSIGN_OR_RETURN(const bool scaled, Scaled(cluster, flags.shards, progress));
    if (progress != last) absl::PrintF("%s\n", progress);
    std::fflush(stdout);
    if (scaled) return absl::OkStatus();
    if (base::Clock::Real().Monotonic() >= until) {
      return absl::DeadlineExceededError(absl::StrCat("after ", flags.timeout_s, " s: ", progress));
    }
    last = progress;
    absl::SleepFor(kPoll);
  }
}

int Scale(const ScaleFlags& flags) {
  const absl::Status scaled = RunScale(flags);
  return scaled.ok() ? kExitOk : Fail("scale", std::string(scaled.message()));
}

}  // namespace

void AddScaleCommand(CLI::App& app, Command& run) {
  auto flags = std::make_shared<ScaleFlags>();
  CLI::App* command =
      app.add_subcommand("scale", "Give the running local cluster another number of shards");
  command->add_option("shards", flags->shards, "Shards wanted")
      ->required()
      ->check(CLI::Range(1, kMaxLocalShards));
  command->add_option("--timeout-s", flags->timeout_s, "Seconds to wait")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 86400.0));
  command->add_option("--state-dir", flags->state_dir, "Folder of the local cluster")
      ->capture_default_str();
  command->callback([flags, &run] { run = [flags] { return Scale(*flags); }; });
}

}  // namespace moesaic::services
