#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "rpc/credentials.h"

namespace grpc {
class Server;
class Service;
}  // namespace grpc

namespace moesaic::rpc {

class DispatchServer;
class HealthService;

/// What a gRPC server is made of. Every server of Moesaic comes from StartServer.
struct ServerOptions {
  /// host:port to listen on; port 0 picks a free one (see ServerHandle::port).
  std::string address = "127.0.0.1:0";
  Credentials credentials = {};
  /// Permits plain text beyond loopback (--insecure).
  bool allow_insecure = false;
  /// Called before every handler; null admits everybody.
  Authorizer authorizer = {};
  /// Server reflection, for development (grpcurl). Off outside `moesaic up`.
  bool enable_reflection = false;
  /// Services to register, borrowed for the life of the server. grpc.health.v1 is always there.
  std::vector<grpc::Service*> services = {};
  /// The streaming side of ExpertShard, when this server has one; borrowed for the same time.
  DispatchServer* dispatch = nullptr;
};

/// A running server. Stops it on destruction. Thread-safe.
class ServerHandle {
 public:
  ~ServerHandle();
  ServerHandle(const ServerHandle&) = delete;
  ServerHandle& operator=(const ServerHandle&) = delete;

  /// The port it listens on.
  int port() const { return port_; }
  /// host:port a local client can dial: the address asked for with the real port.
  const std::string& address() const { return address_; }
  /// Sets what grpc.health.v1 answers, for the server as a whole ("") and for `service` if given.
  void SetServing(bool serving, const std::string& service = "");
  /// Takes no new calls, gives those in progress `grace` to end, then cancels them. Idempotent.
  void Shutdown(absl::Duration grace);

 private:
  friend absl::StatusOr<std::unique_ptr<ServerHandle>> StartServer(ServerOptions options);
  ServerHandle(std::unique_ptr<HealthService> health, std::unique_ptr<grpc::Server> server,
               DispatchServer* dispatch, int port, std::string address);

  const std::unique_ptr<HealthService> health_;  // outlives the server
  const std::unique_ptr<grpc::Server> server_;
  DispatchServer* const dispatch_;
  const int port_;
  const std::string address_;
};

/// Builds and starts a server: health (NOT_SERVING until SetServing), optional reflection,
/// keepalive, message limits. Errors: those of MakeServerCredentials; Unavailable naming an address
/// that cannot be bound.
absl::StatusOr<std::unique_ptr<ServerHandle>> StartServer(ServerOptions options);

}  // namespace moesaic::rpc
