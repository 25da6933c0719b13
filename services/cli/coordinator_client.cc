#include "services/cli/coordinator_client.h"

#include <grpcpp/grpcpp.h>

#include <chrono>

#include "base/status_macros.h"
#include "proto/moesaic/v1/coordinator.grpc.pb.h"
#include "rpc/channel_factory.h"
#include "rpc/status_map.h"

namespace moesaic::services {

absl::StatusOr<v1::DescribeClusterResponse> DescribeCluster(const std::string& address) {
  MOESAIC_ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel, rpc::MakeChannel(address, {}));
  const auto stub = v1::Coordinator::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
  v1::DescribeClusterResponse response;
  const grpc::Status status = stub->DescribeCluster(&context, {}, &response);
  if (!status.ok()) return rpc::FromGrpcStatus(status);
  return response;
}

}  // namespace moesaic::services
