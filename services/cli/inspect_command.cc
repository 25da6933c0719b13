// moesaic inspect DIR: what a checkpoint is, how large, and whether it can be run.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_format.h"
#include "base/dtype.h"
#include "kernels/packed_matrix.h"
#include "model/inspect.h"
#include "services/cli/commands.h"
#include "services/process.h"

namespace moesaic::services {
namespace {

struct InspectFlags {
  std::string directory;
  int unit_size = 1;
};

/// What the routed experts take with --weight-dtype int8.
std::string RenderInt8(const model::CheckpointSummary& summary) {
  constexpr std::int64_t kGroup = kernels::PackedMatrix::kScaleBlock;
  const std::size_t bytes =
      kernels::PackedMatrix::BytesOf(summary.routed.parameters / kGroup, kGroup, base::DType::kI8);
  const auto total = static_cast<double>(bytes);
  return absl::StrFormat("as int8        about %.2f MiB of routed experts, %.2f KiB a unit\n",
                         total / (1 << 20), total / static_cast<double>(summary.units) / (1 << 10));
}

int Inspect(const InspectFlags& flags) {
  const model::CheckpointSummary summary =
      model::InspectDirectory(flags.directory, flags.unit_size);
  std::fputs(model::RenderSummary(summary).c_str(), stdout);
  if (summary.routed.parameters > 0) std::fputs(RenderInt8(summary).c_str(), stdout);
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
