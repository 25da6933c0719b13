#include "placement/coordinator_server.h"

#include <utility>

#include "base/loop.h"
#include "base/status_macros.h"
#include "placement/coordinator_service.h"
#include "placement/grpc_shard_control.h"
#include "rpc/server_factory.h"

namespace moesaic::placement {
namespace {

constexpr char kServiceName[] = "moesaic.v1.Coordinator";
/// How often time is looked at: a small part of every duration the policy knows.
constexpr absl::Duration kTick = absl::Milliseconds(50);
/// Messages waiting for the loop. Each member sends one a heartbeat.
constexpr std::size_t kMaxQueued = 16384;

absl::Status CheckPolicy(const CoordinatorPolicy& policy) {
  if (policy.replicas < 1) return absl::InvalidArgumentError("replicas is 0");
  if (policy.parallel_moves < 1) return absl::InvalidArgumentError("parallel_moves is 0");
  if (policy.heartbeat < absl::Milliseconds(1)) {
    return absl::InvalidArgumentError("heartbeat is below 1 ms");
  }
  if (policy.lease < 2 * policy.heartbeat) {
    return absl::InvalidArgumentError("lease is below two heartbeats");
  }
  return absl::OkStatus();
}

}  // namespace

/// Parts in the order they depend on each other; destroyed in reverse.
class CoordinatorServer::Impl {
 public:
  Impl(const CoordinatorOptions& options, const base::Clock& clock)
      : loop_(kMaxQueued),
        control_(loop_),
        coordinator_(options, control_, clock),
        service_(loop_, coordinator_) {}
  ~Impl() { Shutdown(); }

  absl::Status Start(const CoordinatorOptions& options) {
    rpc::ServerOptions server;
    server.address = options.listen_address;
    server.allow_insecure = options.insecure;
    server.enable_reflection = options.reflection;
    server.services = {&service_};
    MOESAIC_ASSIGN_OR_RETURN(server_, rpc::StartServer(std::move(server)));
    server_->SetServing(true, kServiceName);
    loop_.PostAfter(kTick, [this] { Tick(); });
    return absl::OkStatus();
  }

  void Shutdown() {
    if (server_ == nullptr || std::exchange(shut_down_, true)) return;
    server_->SetServing(false, kServiceName);
    control_.CancelAll();
    server_->Shutdown(absl::ZeroDuration());
    loop_.Stop();
  }

  const std::string& address() const { return server_->address(); }

 private:
  void Tick() {
    coordinator_.Advance();
    loop_.PostAfter(kTick, [this] { Tick(); });
  }

  base::Loop loop_;
  GrpcShardControl control_;
  Coordinator coordinator_;
  CoordinatorService service_;
  std::unique_ptr<rpc::ServerHandle> server_;
  bool shut_down_ = false;
};

absl::StatusOr<std::unique_ptr<CoordinatorServer>> CoordinatorServer::Build(
    CoordinatorOptions options, const base::Clock& clock) {
  MOESAIC_RETURN_IF_ERROR(CheckPolicy(options));
  auto impl = std::make_unique<Impl>(options, clock);
  MOESAIC_RETURN_IF_ERROR(impl->Start(options));
  return std::unique_ptr<CoordinatorServer>(new CoordinatorServer(std::move(impl)));
}

CoordinatorServer::CoordinatorServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CoordinatorServer::~CoordinatorServer() = default;
const std::string& CoordinatorServer::address() const { return impl_->address(); }
void CoordinatorServer::Shutdown() { impl_->Shutdown(); }

}  // namespace moesaic::placement
