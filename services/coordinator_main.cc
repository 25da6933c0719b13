// moesaic-coordinator: membership and placement. Flags → CoordinatorOptions → Build → run.

#include <memory>

#include "base/status_macros.h"
#include "placement/coordinator_server.h"
#include "services/flags/coordinator_flags.h"
#include "services/process.h"

namespace moesaic::services {
namespace {

absl::StatusOr<RunningServer> Start(const CoordinatorFlags& flags) {
  MOESAIC_ASSIGN_OR_RETURN(std::shared_ptr<placement::CoordinatorServer> server,
                           placement::CoordinatorServer::Build(flags.Resolve()));
  return RunningServer{{{"grpc", server->address()}},
                       [server](absl::Duration) { server->Shutdown(); }};
}

int Main(int argc, char** argv) {
  CLI::App app("Decides which expert lives on which shard.", "moesaic-coordinator");
  ProcessFlags process;
  CoordinatorFlags flags;
  FlagTable table(app);
  flags.DeclareIdentity(table);
  flags.Declare(table);
  ProcessFlags::Declare(app, process);
  int exit_code = kExitOk;
  if (!ParseCommandLine(app, argc, argv, exit_code)) return exit_code;
  return RunServer("moesaic-coordinator", app, process, [&flags] { return Start(flags); });
}

}  // namespace
}  // namespace moesaic::services

int main(int argc, char** argv) { return moesaic::services::Main(argc, argv); }
