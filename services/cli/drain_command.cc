// moesaic drain SHARD: has other shards take over what it holds, so that it can be stopped.

#include <cstdio>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "services/cli/commands.h"
#include "services/cli/coordinator_client.h"
#include "services/process.h"

namespace moesaic::services {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(200);
/// Dispatches in flight take milliseconds; a shard that is stuck is not waited for longer.
constexpr absl::Duration kDrainTimeout = absl::Seconds(10);

struct DrainFlags {
  CoordinatorAddressFlags address;
  std::string shard;
  double timeout_s = 600;
  bool cancel = false;
};

/// Waits until others hold everything. Returns the shard's address.
absl::StatusOr<std::string> AwaitEvacuation(const DrainFlags& flags,
                                            const std::string& coordinator) {
  const absl::Duration until = base::Clock::Real().Monotonic() + absl::Seconds(flags.timeout_s);
  std::string last;
  while (true) {
    MOESAIC_ASSIGN_OR_RETURN(const v1::EvacuateShardResponse evacuated,
                             EvacuateShard(coordinator, flags.shard, /*cancel=*/false));
    std::string progress = absl::StrCat(evacuated.held_units(), " units left");
    if (evacuated.units_without_room() > 0) {
      absl::StrAppend(&progress, ", ", evacuated.units_without_room(),
                      " of them without room on any other shard");
    }
    if (progress != last) absl::PrintF("%s: %s\n", flags.shard, progress);
    std::fflush(stdout);
    if (evacuated.held_units() == 0) return evacuated.address();
    if (base::Clock::Real().Monotonic() >= until) {
      return absl::DeadlineExceededError(
          absl::StrCat("after ", flags.timeout_s, " s: ", progress,
                       "; it goes on; give the shard its units again with --cancel"));
    }
    last = std::move(progress);
    absl::SleepFor(kPoll);
  }
}

absl::Status RunDrain(const DrainFlags& flags) {
  MOESAIC_ASSIGN_OR_RETURN(const std::string coordinator, flags.address.Resolve());
  if (flags.cancel) {
    MOESAIC_RETURN_IF_ERROR(EvacuateShard(coordinator, flags.shard, /*cancel=*/true).status());
    absl::PrintF("%s: is given units again\n", flags.shard);
    return absl::OkStatus();
  }
  MOESAIC_ASSIGN_OR_RETURN(const std::string address, AwaitEvacuation(flags, coordinator));
  MOESAIC_ASSIGN_OR_RETURN(const int left, DrainShard(address, kDrainTimeout));
  if (left > 0) {
    return absl::DeadlineExceededError(absl::StrCat(left, " dispatches are still in flight"));
  }
  absl::PrintF("%s: drained; its process can be stopped\n", flags.shard);
  return absl::OkStatus();
}

int Drain(const DrainFlags& flags) {
  const absl::Status drained = RunDrain(flags);
  return drained.ok() ? kExitOk : Fail("drain", std::string(drained.message()));
}

}  // namespace

void AddDrainCommand(CLI::App& app, Command& run) {
  auto flags = std::make_shared<DrainFlags>();
  CLI::App* command = app.add_subcommand(
      "drain", "Have other shards take over what a shard holds, and wait until it can be stopped");
  command->add_option("shard", flags->shard, "Name of the shard")->required();
  command->add_flag("--cancel", flags->cancel, "Give it units again instead");
  command->add_option("--timeout-s", flags->timeout_s, "Seconds to wait")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 86400.0));
  flags->address.Declare(*command);
  command->callback([flags, &run] { run = [flags] { return Drain(*flags); }; });
}

}  // namespace moesaic::services
