// moesaic: the command line. Each subcommand has a file of its own.

#include "base/log.h"
#include "services/cli/commands.h"
#include "services/process.h"

namespace moesaic::services {
namespace {

int Main(int argc, char** argv) {
  CLI::App app("Serves Mixture-of-Experts language models on a cluster of ordinary nodes.",
               "moesaic");
  app.set_version_flag("--version", BuildVersion());
  app.require_subcommand(1);
  Command run;
  AddUpCommand(app, run);
  AddChatCommand(app, run);
  AddCompleteCommand(app, run);
  AddStatusCommand(app, run);
  AddTopCommand(app, run);
  AddScaleCommand(app, run);
  AddDrainCommand(app, run);
  AddRebalanceCommand(app, run);
  AddRequestsCommand(app, run);
  AddTraceCommand(app, run);
  AddLogLevelCommand(app, run);
  AddBenchCommand(app, run);
  AddUsageCommand(app, run);
  AddInspectCommand(app, run);
  int exit_code = kExitOk;
  if (!ParseCommandLine(app, argc, argv, exit_code)) return exit_code;
  return run();
}

}  // namespace
}  // namespace moesaic::services

int main(int argc, char** argv) { return moesaic::services::Main(argc, argv); }
