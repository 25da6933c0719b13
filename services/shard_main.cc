// moesaic-shard: an expert shard. Flags → ShardOptions → Shard::Build → run until SIGTERM.

#include <memory>

#include "base/status_macros.h"
#include "services/flags/shard_flags.h"
#include "services/server_main.h"
#include "shard/shard.h"

namespace moesaic::services {
namespace {

absl::StatusOr<RunningServer> Start(const ShardFlags& flags) {
  MOESAIC_ASSIGN_OR_RETURN(shard::ShardOptions options, flags.Resolve());
  MOESAIC_ASSIGN_OR_RETURN(std::shared_ptr<shard::Shard> server,
                           shard::Shard::Build(std::move(options)));
  RunningServer running{{{"grpc", server->address()}},
                        [server](absl::Duration grace) { server->Shutdown(grace); }};
  if (!server->http_address().empty()) {
    running.addresses.emplace_back("http", server->http_address());
  }
  return running;
}

}  // namespace
}  // namespace moesaic::services

int main(int argc, char** argv) {
  return moesaic::services::ServerMain(argc, argv, "moesaic-shard",
                                       "Serves routed experts of a Mixture-of-Experts checkpoint.",
                                       moesaic::services::Start);
}
