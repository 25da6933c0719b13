#include "rpc/server_factory.h"

#include <memory>
#include <string>

#include "base/retry_delay.h"
#include "gmock/gmock.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "gtest/gtest.h"
#include "proto/moesaic/v1/expert_shard.grpc.pb.h"
#include "rpc/channel_factory.h"
#include "rpc/status_map.h"

namespace moesaic::rpc {
namespace {

using ::testing::HasSubstr;

class DescribedShard final : public v1::ExpertShard::Service {
 public:
  grpc::Status Describe(grpc::ServerContext*, const v1::DescribeRequest*,
                        v1::DescribeResponse* response) override {
    response->set_shard("shard-0");
    return grpc::Status::OK;
  }
  grpc::Status Drain(grpc::ServerContext*, const v1::DrainRequest*, v1::DrainResponse*) override {
    drained = true;
    return ToGrpcStatus(
        base::WithRetryDelay(absl::ResourceExhaustedError("busy"), absl::Milliseconds(20)));
  }
  bool drained = false;
};

/// Calls one method and returns its status.
template <typename Request, typename Response>
absl::Status Call(const std::string& address,
                  grpc::Status (v1::ExpertShard::Stub::*method)(grpc::ClientContext*,
                                                                const Request&, Response*)) {
  auto channel = MakeChannel(address, {});
  EXPECT_TRUE(channel.ok());
  const auto stub = v1::ExpertShard::NewStub(*channel);
  grpc::ClientContext context;
  Response response;
  return FromGrpcStatus(((*stub).*method)(&context, {}, &response));
}

TEST(ServerFactoryTest, PicksAPortAndServes) {
  DescribedShard shard;
  const auto server = StartServer({.services = {&shard}});
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_GT((*server)->port(), 0);
  EXPECT_THAT((*server)->address(), HasSubstr("127.0.0.1:"));
  EXPECT_TRUE(Call((*server)->address(), &v1::ExpertShard::Stub::Describe).ok());
}

TEST(ServerFactoryTest, StatusesKeepTheirRetryDelay) {
  DescribedShard shard;
  const auto server = StartServer({.services = {&shard}});
  ASSERT_TRUE(server.ok());
  const absl::Status status = Call((*server)->address(), &v1::ExpertShard::Stub::Drain);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(base::RetryDelay(status), absl::Milliseconds(20));
}

TEST(ServerFactoryTest, TheAuthoriserComesBeforeTheHandler) {
  DescribedShard shard;
  const Authorizer no_admin = [](std::string_view method, const Peer&) {
    return method == "/moesaic.v1.ExpertShard/Drain" ? absl::PermissionDeniedError("admin only")
                                                     : absl::OkStatus();
  };
  const auto server = StartServer({.authorizer = no_admin, .services = {&shard}});
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_TRUE(Call((*server)->address(), &v1::ExpertShard::Stub::Describe).ok());
  const absl::Status refused = Call((*server)->address(), &v1::ExpertShard::Stub::Drain);
  EXPECT_EQ(refused, absl::PermissionDeniedError("admin only"));
  EXPECT_FALSE(shard.drained);
}

TEST(ServerFactoryTest, ATakenPortIsAnError) {
  DescribedShard shard;
  const auto first = StartServer({.services = {&shard}});
  ASSERT_TRUE(first.ok());
  const absl::Status taken =
      StartServer({.address = (*first)->address(), .services = {&shard}}).status();
  EXPECT_EQ(taken.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(taken.message()), HasSubstr((*first)->address()));
}

TEST(ServerFactoryTest, PlainTextBeyondLoopbackIsRefused) {
  DescribedShard shard;
  EXPECT_EQ(StartServer({.address = "0.0.0.0:0", .services = {&shard}}).status().code(),
            absl::StatusCode::kFailedPrecondition);
  const auto allowed =
      StartServer({.address = "0.0.0.0:0", .allow_insecure = true, .services = {&shard}});
  EXPECT_TRUE(allowed.ok()) << allowed.status();
}

TEST(ServerFactoryTest, AnUnreachableServerIsUnavailable) {
  EXPECT_EQ(Call("127.0.0.1:1", &v1::ExpertShard::Stub::Describe).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(MakeChannel("", {}).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace moesaic::rpc
