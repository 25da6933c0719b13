#include "rpc/server_factory.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/impl/server_builder_option.h"
#include "grpcpp/impl/server_builder_plugin.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "rpc/dispatch_server.h"
#include "rpc/health_service.h"
#include "rpc/transport_arguments.h"

namespace moesaic::rpc {
namespace {

constexpr char kReflectionPluginName[] = "proto_server_reflection";

/// Makes reflection each server's own choice: linking the library alone would switch it on for all.
class ReflectionOption final : public grpc::ServerBuilderOption {
 public:
  explicit ReflectionOption(bool enabled) : enabled_(enabled) {}
  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    std::erase_if(*plugins,
                  [](const auto& plugin) { return plugin->name() == kReflectionPluginName; });
    if (enabled_) {
      plugins->push_back(std::make_unique<grpc::reflection::ProtoServerReflectionPlugin>());
    }
  }

 private:
  const bool enabled_;
};

void SetArguments(grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveTimeMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kMinProbeIntervalMs);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
  // Two servers on one port would each get a share of the connections.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxConnectionStreams);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  builder.SetMaxReceiveMessageSize(kMaxGrpcMessageBytes);
  builder.SetMaxSendMessageSize(kMaxGrpcMessageBytes);
  builder.SetDefaultCompressionAlgorithm(GRPC_COMPRESS_NONE);
}

std::string WithPort(const std::string& address, int port) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos || address.starts_with("unix:")) return address;
  return absl::StrCat(address.substr(0, colon), ":", port);
}

}  // namespace

ServerHandle::ServerHandle(std::unique_ptr<HealthService> health,
                           std::unique_ptr<grpc::Server> server, DispatchServer* dispatch, int port,
                           std::string address)
    : health_(std::move(health)),
      server_(std::move(server)),
      dispatch_(dispatch),
      port_(port),
      address_(std::move(address)) {}

ServerHandle::~ServerHandle() { Shutdown(absl::ZeroDuration()); }

void ServerHandle::SetServing(bool serving, const std::string& service) {
  health_->Set("", serving);
  if (!service.empty()) health_->Set(service, serving);
}

void ServerHandle::Shutdown(absl::Duration grace) {
  health_->Stop();
  server_->Shutdown(absl::ToChronoTime(absl::Now() + grace));
  if (dispatch_ != nullptr) dispatch_->Stop();
}

absl::StatusOr<std::unique_ptr<ServerHandle>> StartServer(ServerOptions options) {
  MOESAIC_ASSIGN_OR_RETURN(auto credentials,
                           MakeServerCredentials(options.credentials, options.address,
                                                 options.allow_insecure, options.authorizer));
  int port = 0;
  grpc::ServerBuilder builder;
  SetArguments(builder);
  builder.SetOption(std::make_unique<ReflectionOption>(options.enable_reflection));
  builder.AddListeningPort(options.address, credentials, &port);
  auto health = std::make_unique<HealthService>();
  health->Set("", false);
  builder.RegisterService(health.get());
  for (grpc::Service* service : options.services) builder.RegisterService(service);
  if (options.dispatch != nullptr) options.dispatch->Register(builder);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", options.address));
  }
  if (options.dispatch != nullptr) options.dispatch->Start();
  return std::unique_ptr<ServerHandle>(new ServerHandle(std::move(health), std::move(server),
                                                        options.dispatch, port,
                                                        WithPort(options.address, port)));
}

}  // namespace moesaic::rpc
