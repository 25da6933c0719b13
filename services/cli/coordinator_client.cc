#include "services/cli/coordinator_client.h"

#include <grpcpp/grpcpp.h>

#include <chrono>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "proto/moesaic/v1/coordinator.grpc.pb.h"
#include "proto/moesaic/v1/expert_shard.grpc.pb.h"
#include "rpc/channel_factory.h"
#include "rpc/status_map.h"
#include "services/cli/cluster_file.h"

namespace moesaic::services {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(2);

/// One unary call of a `Service` at `address`.
template <typename Service, typename Request, typename Response>
absl::StatusOr<Response> Call(const std::string& address, absl::Duration timeout,
                              grpc::Status (Service::StubInterface::*method)(grpc::ClientContext*,
                                                                             const Request&,
                                                                             Response*),
                              const Request& request) {
  MOESAIC_ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel, rpc::MakeChannel(address, {}));
  const std::unique_ptr<typename Service::StubInterface> stub = Service::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(timeout));
  Response response;
  const absl::Status status =
      rpc::FromGrpcStatus((stub.get()->*method)(&context, request, &response));
  if (!status.ok()) {
    return absl::Status(status.code(), absl::StrCat(address, ": ", status.message()));
  }
  return response;
}

}  // namespace

CoordinatorAddressFlags::CoordinatorAddressFlags() : state_dir(DefaultStateDir()) {}

void CoordinatorAddressFlags::Declare(CLI::App& command) {
  command.add_option("--coordinator", coordinator, "host:port; default: the local cluster");
  command.add_option("--state-dir", state_dir, "Folder of the local cluster")
      ->capture_default_str();
}

absl::StatusOr<std::string> CoordinatorAddressFlags::Resolve() const {
  if (!coordinator.empty()) return coordinator;
  MOESAIC_ASSIGN_OR_RETURN(const ClusterFile cluster, ReadClusterFile(state_dir));
  return cluster.coordinator_address;
}

absl::StatusOr<v1::DescribeClusterResponse> DescribeCluster(const std::string& address) {
  return Call<v1::Coordinator>(address, kCallTimeout,
                               &v1::Coordinator::StubInterface::DescribeCluster,
                               v1::DescribeClusterRequest());
}

absl::StatusOr<v1::EvacuateShardResponse> EvacuateShard(const std::string& address,
                                                        const std::string& shard, bool cancel) {
  v1::EvacuateShardRequest request;
  request.set_shard(shard);
  request.set_cancel(cancel);
  return Call<v1::Coordinator>(address, kCallTimeout,
                               &v1::Coordinator::StubInterface::EvacuateShard, request);
}

absl::Status ExpectShards(const std::string& address, int shards) {
  v1::ExpectShardsRequest request;
  request.set_shards(static_cast<std::uint32_t>(shards));
  return Call<v1::Coordinator, v1::ExpectShardsRequest, v1::ExpectShardsResponse>(
             address, kCallTimeout, &v1::Coordinator::StubInterface::ExpectShards, request)
      .status();
}

absl::StatusOr<v1::RebalanceResponse> Rebalance(const std::string& address, bool dry_run) {
  v1::RebalanceRequest request;
  request.set_dry_run(dry_run);
  return Call<v1::Coordinator>(address, kCallTimeout, &v1::Coordinator::StubInterface::Rebalance,
                               request);
}

absl::StatusOr<int> DrainShard(const std::string& address, absl::Duration timeout) {
  v1::DrainRequest request;
  request.set_timeout_ms(static_cast<std::uint32_t>(absl::ToInt64Milliseconds(timeout)));
  MOESAIC_ASSIGN_OR_RETURN(const v1::DrainResponse response,
                           Call<v1::ExpertShard>(address, timeout + kCallTimeout,
                                                 &v1::ExpertShard::StubInterface::Drain, request));
  return static_cast<int>(response.in_flight());
}

}  // namespace moesaic::services
