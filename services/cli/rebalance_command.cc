// moesaic rebalance: looks for a better placement now, or says what it would be.

#include <memory>

#include "absl/strings/str_format.h"
#include "services/cli/commands.h"
#include "services/cli/coordinator_client.h"
#include "services/process.h"

namespace moesaic::services {
namespace {

struct RebalanceFlags {
  CoordinatorAddressFlags address;
  bool dry_run = false;
};

void Print(const v1::RebalanceResponse& plan) {
  absl::PrintF("expert time of a step   %.1f us now, %.1f us planned\n", plan.before().step_us(),
               plan.after().step_us());
  absl::PrintF("busiest shard over mean %.3f now, %.3f planned\n", plan.before().max_over_mean(),
               plan.after().max_over_mean());
  absl::PrintF("to be loaded            %.1f MiB\n", plan.bytes() / 1048576.0);
  for (const v1::ShardChange& change : plan.changes()) {
    absl::PrintF("  %-16s loads %d, gives up %d units\n", change.shard(), change.loads(),
                 change.unloads());
  }
  for (const std::string& reason : plan.reasons()) absl::PrintF("  %s\n", reason);
  for (const std::string& warning : plan.warnings()) absl::PrintF("warning: %s\n", warning);
}

int RunRebalance(const RebalanceFlags& flags) {
  const absl::StatusOr<std::string> coordinator = flags.address.Resolve();
  if (!coordinator.ok()) return Fail("rebalance", std::string(coordinator.status().message()));
  const absl::StatusOr<v1::RebalanceResponse> plan = Rebalance(*coordinator, flags.dry_run);
  if (!plan.ok()) return Fail("rebalance", std::string(plan.status().message()));
  Print(*plan);
  return kExitOk;
}

}  // namespace

void AddRebalanceCommand(CLI::App& app, Command& run) {
  auto flags = std::make_shared<RebalanceFlags>();
  CLI::App* command = app.add_subcommand("rebalance", "Look for a better placement now");
  command->add_flag("--dry-run", flags->dry_run, "Only say what would be done, and why");
  flags->address.Declare(*command);
  command->callback([flags, &run] { run = [flags] { return RunRebalance(*flags); }; });
}

}  // namespace moesaic::services
