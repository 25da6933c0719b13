// moesaic inspect DIR: what a checkpoint is, how large, and whether it can be run.

#include <cstdio>
#include <memory>

#include "model/inspect.h"
#include "services/cli/commands.h"
#include "services/process.h"

namespace moesaic::services {
namespace {

struct InspectFlags {
  std::string directory;
  int unit_size = 1;
};

int Inspect(const InspectFlags& flags) {
  const model::CheckpointSummary summary =
      model::InspectDirectory(flags.directory, flags.unit_size);
  std::fputs(model::RenderSummary(summary).c_str(), stdout);
  return summary.problems.empty() ? kExitOk : kExitFailure;
}

}  // namespace

void AddInspectCommand(CLI::App& app, Command& run) {
  auto flags = std::make_shared<InspectFlags>();
  CLI::App* command = app.add_subcommand(
      "inspect", "Describe a checkpoint; exit code 1 and the reason if it cannot be run");
  command->add_option("directory", flags->directory, "Checkpoint in the Hugging Face layout")
      ->required();
  command->add_option("--unit-size", flags->unit_size, "Experts per unit")
      ->capture_default_str()
      ->check(CLI::Range(1, 65536));
  command->callback([flags, &run] { run = [flags] { return Inspect(*flags); }; });
}

}  // namespace moesaic::services
