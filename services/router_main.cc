// moesaic-router: the front of the cluster. Flags → RouterOptions → Router::Build → run until
// SIGTERM.

#include <memory>

#include "base/status_macros.h"
#include "router/router.h"
#include "services/flags/router_flags.h"
#include "services/server_main.h"

namespace moesaic::services {
namespace {

absl::StatusOr<RunningServer> Start(const RouterFlags& flags) {
  MOESAIC_ASSIGN_OR_RETURN(router::RouterOptions options, flags.Resolve());
  MOESAIC_ASSIGN_OR_RETURN(std::shared_ptr<router::Router> server,
                           router::Router::Build(std::move(options)));
  return RunningServer{{{"http", server->http_address()}, {"grpc", server->grpc_address()}},
                       [server](absl::Duration grace) { server->Shutdown(grace); }};
}

}  // namespace
}  // namespace moesaic::services

int main(int argc, char** argv) {
  return moesaic::services::ServerMain(
      argc, argv, "moesaic-router",
      "Serves a Mixture-of-Experts model; its routed experts are computed by shards.",
      moesaic::services::Start);
}
