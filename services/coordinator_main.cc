// moesaic-coordinator: membership and placement. Flags → CoordinatorOptions → Build → run.

#include <memory>

#include "base/status_macros.h"
#include "placement/coordinator_server.h"
#include "services/flags/coordinator_flags.h"
#include "services/server_main.h"

namespace moesaic::services {
namespace {

absl::StatusOr<RunningServer> Start(const CoordinatorFlags& flags) {
  MOESAIC_ASSIGN_OR_RETURN(placement::CoordinatorOptions options, flags.Resolve());
  MOESAIC_ASSIGN_OR_RETURN(std::shared_ptr<placement::CoordinatorServer> server,
                           placement::CoordinatorServer::Build(std::move(options)));
  RunningServer running{{{"grpc", server->address()}},
                        [server](absl::Duration) { server->Shutdown(); }};
  if (!server->http_address().empty()) {
    running.addresses.emplace_back("http", server->http_address());
  }
  return running;
}

}  // namespace
}  // namespace moesaic::services

int main(int argc, char** argv) {
  return moesaic::services::ServerMain(argc, argv, "moesaic-coordinator",
                                       "Decides which expert lives on which shard.",
                                       moesaic::services::Start);
}
