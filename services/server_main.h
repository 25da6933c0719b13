#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "services/flags/flag_table.h"
#include "services/process.h"

namespace moesaic::services {

/// The main of a server process: its `Flags` from the command line, then RunServer with `start`.
/// Returns the exit code.
template <typename Flags>
int ServerMain(int argc, char** argv, const std::string& name, const std::string& description,
               absl::StatusOr<RunningServer> (*start)(const Flags&)) {
  CLI::App app(description, name);
  ProcessFlags process;
  Flags flags;
  FlagTable table(app);
  flags.DeclareIdentity(table);
  flags.Declare(table);
  process.DeclareLog(table);
  process.Declare(app);
  int exit_code = kExitOk;
  if (!ParseCommandLine(app, argc, argv, exit_code)) return exit_code;
  return RunServer(name, app, process, [&flags, start] { return start(flags); });
}

}  // namespace moesaic::services
