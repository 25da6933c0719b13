// moesaic-shard: an expert shard. Flags → ShardOptions → Shard::Build → run until SIGTERM.

#include <memory>

#include "base/status_macros.h"
#include "services/flags/shard_flags.h"
#include "services/process.h"
#include "shard/shard.h"

namespace moesaic::services {
namespace {

absl::StatusOr<RunningServer> Start(const ShardFlags& flags) {
  MOESAIC_ASSIGN_OR_RETURN(shard::ShardOptions options, flags.Resolve());
  MOESAIC_ASSIGN_OR_RETURN(std::shared_ptr<shard::Shard> server,
                           shard::Shard::Build(std::move(options)));
  return RunningServer{{{"grpc", server->address()}},
                       [server](absl::Duration grace) { server->Shutdown(grace); }};
}

int Main(int argc, char** argv) {
  CLI::App app("Serves routed experts of a Mixture-of-Experts checkpoint.", "moesaic-shard");
  ProcessFlags process;
  ShardFlags flags;
  FlagTable table(app);
  flags.DeclareIdentity(table);
  flags.Declare(table);
  ProcessFlags::Declare(app, process);
  int exit_code = kExitOk;
  if (!ParseCommandLine(app, argc, argv, exit_code)) return exit_code;
  return RunServer("moesaic-shard", app, process, [&flags] { return Start(flags); });
}

}  // namespace
}  // namespace moesaic::services

int main(int argc, char** argv) { return moesaic::services::Main(argc, argv); }
