#include "placement/coordinator_server.h"

#include <chrono>
#include <memory>

#include "gmock/gmock.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "gtest/gtest.h"
#include "http/client.h"
#include "proto/moesaic/v1/coordinator.grpc.pb.h"
#include "rpc/channel_factory.h"
#include "tests/unit/placement/placement_fixture.h"

namespace moesaic::placement {
namespace {

using ::testing::HasSubstr;

/// One Register stream, driven by the test.
class Registration {
 public:
  explicit Registration(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(v1::Coordinator::NewStub(channel)) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    stream_ = stub_->Register(&context_);
  }
  ~Registration() { context_.TryCancel(); }

  static v1::ShardReport First(const std::string& name) {
    v1::ShardReport report;
    report.mutable_registration()->set_shard(name);
    report.mutable_registration()->set_address("127.0.0.1:9");
    report.mutable_registration()->set_memory_bytes(1000);
    *report.mutable_registration()->mutable_model() = IdentityToProto(TestModel());
    *report.mutable_registration()->mutable_topology() = TopologyToProto(TestTopology());
    report.set_held_units_valid(true);
    return report;
  }
  bool Write(const v1::ShardReport& report) { return stream_->Write(report); }
  bool Read(v1::ShardDirective& directive) { return stream_->Read(&directive); }
  grpc::Status Finish() {
    v1::ShardDirective rest;
    while (stream_->Read(&rest)) {
    }
    return stream_->Finish();
  }

 private:
  const std::unique_ptr<v1::Coordinator::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::ShardReport, v1::ShardDirective>> stream_;
};

class CoordinatorServerTest : public ::testing::Test {
 protected:
  std::unique_ptr<CoordinatorServer> server_ = *CoordinatorServer::Build({});
  std::shared_ptr<grpc::Channel> channel_ = *rpc::MakeChannel(server_->address(), {});
};

TEST_F(CoordinatorServerTest, AnswersARegistrationWithItsLeaseAndTerm) {
  Registration shard(channel_);
  v1::ShardReport report = Registration::First("a");
  report.mutable_epoch()->set_term(4);
  ASSERT_TRUE(shard.Write(report));
  v1::ShardDirective directive;
  ASSERT_TRUE(shard.Read(directive));
  EXPECT_EQ(directive.shard_id(), 0u);
  EXPECT_EQ(directive.epoch().term(), 5u);
  EXPECT_EQ(directive.lease_ms(), 10000u);
  EXPECT_EQ(directive.heartbeat_ms(), 1000u);

  auto stub = v1::Coordinator::NewStub(channel_);
  grpc::ClientContext context;
  v1::DescribeClusterResponse cluster;
  ASSERT_TRUE(stub->DescribeCluster(&context, {}, &cluster).ok());
  ASSERT_EQ(cluster.shards_size(), 1);
  EXPECT_EQ(cluster.shards(0).placed().shard(), "a");
  EXPECT_EQ(cluster.shards(0).state(), "LOADING");
  EXPECT_EQ(cluster.units_total(), 6u);
  EXPECT_EQ(cluster.units_uncovered(), 6u);
}

TEST_F(CoordinatorServerTest, RefusesAnotherModelNamingBothValues) {
  Registration first(channel_);
  ASSERT_TRUE(first.Write(Registration::First("a")));
  v1::ShardDirective directive;
  ASSERT_TRUE(first.Read(directive));
  Registration second(channel_);
  v1::ShardReport report = Registration::First("b");
  report.mutable_registration()->mutable_model()->set_model_fingerprint("f2");
  second.Write(report);
  const grpc::Status refused = second.Finish();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(refused.error_message(), HasSubstr("ours is 'f1', theirs is 'f2'"));
}

TEST_F(CoordinatorServerTest, RefusesAReportOfUnitsThatDoNotExist) {
  Registration shard(channel_);
  v1::ShardReport report = Registration::First("a");
  report.add_held_units()->set_layer(99);
  report.mutable_held_units(0)->add_units(0);
  shard.Write(report);
  EXPECT_EQ(shard.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(CoordinatorServerTest, ANewProcessOfTheSameNameEndsTheOldSession) {
  Registration old(channel_);
  ASSERT_TRUE(old.Write(Registration::First("a")));
  v1::ShardDirective directive;
  ASSERT_TRUE(old.Read(directive));
  Registration fresh(channel_);
  ASSERT_TRUE(fresh.Write(Registration::First("a")));
  ASSERT_TRUE(fresh.Read(directive));
  EXPECT_EQ(directive.shard_id(), 0u);
  EXPECT_EQ(old.Finish().error_code(), grpc::StatusCode::ABORTED);
}

TEST_F(CoordinatorServerTest, SaysWhatItWouldChangeAndEvacuates) {
  auto stub = v1::Coordinator::NewStub(channel_);
  {
    grpc::ClientContext context;
    v1::RebalanceRequest request;
    v1::RebalanceResponse response;
    EXPECT_EQ(stub->Rebalance(&context, request, &response).error_code(),
              grpc::StatusCode::FAILED_PRECONDITION);
  }
  Registration shard(channel_);
  ASSERT_TRUE(shard.Write(Registration::First("a")));
  v1::ShardDirective directive;
  ASSERT_TRUE(shard.Read(directive));
  {
    grpc::ClientContext context;
    v1::RebalanceRequest request;
    request.set_dry_run(true);
    v1::RebalanceResponse response;
    ASSERT_TRUE(stub->Rebalance(&context, request, &response).ok());
    ASSERT_EQ(response.changes_size(), 1);
    EXPECT_EQ(response.changes(0).loads(), 6u);
    EXPECT_EQ(response.bytes(), 600u);
  }
  {
    grpc::ClientContext context;
    v1::EvacuateShardRequest request;
    request.set_shard("a");
    v1::EvacuateShardResponse response;
    ASSERT_TRUE(stub->EvacuateShard(&context, request, &response).ok());
    EXPECT_EQ(response.held_units(), 0u);
    EXPECT_EQ(response.address(), "127.0.0.1:9");
  }
  while (!directive.evacuate()) ASSERT_TRUE(shard.Read(directive));
}

TEST_F(CoordinatorServerTest, IsToldHowManyShardsAreWanted) {
  auto stub = v1::Coordinator::NewStub(channel_);
  {
    grpc::ClientContext context;
    v1::ExpectShardsRequest request;
    request.set_shards(7);
    v1::ExpectShardsResponse response;
    ASSERT_TRUE(stub->ExpectShards(&context, request, &response).ok());
  }
  grpc::ClientContext context;
  v1::DescribeClusterResponse cluster;
  ASSERT_TRUE(stub->DescribeCluster(&context, {}, &cluster).ok());
  ASSERT_EQ(cluster.events_size(), 1);
  EXPECT_THAT(cluster.events(0).text(), HasSubstr("7 shards are wanted"));
}

TEST_F(CoordinatorServerTest, RefusesSpeedsThatAreNone) {
  Registration shard(channel_);
  v1::ShardReport report = Registration::First("a");
  report.mutable_registration()->set_us_per_row(-1);
  shard.Write(report);
  EXPECT_EQ(shard.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(CoordinatorServerTest, RemembersWhatARouterIsAndWhatItLastSaid) {
  Registration shard(channel_);
  ASSERT_TRUE(shard.Write(Registration::First("a")));
  v1::ShardDirective directive;
  ASSERT_TRUE(shard.Read(directive));
  auto stub = v1::Coordinator::NewStub(channel_);
  grpc::ClientContext watching;
  const auto stream = stub->WatchPlacement(&watching);
  v1::WatchRequest request;
  request.set_router("r");
  *request.mutable_model() = IdentityToProto(TestModel());
  request.mutable_registration()->set_http_address("127.0.0.1:8000");
  request.mutable_registration()->set_price_class("m7i.large");
  request.mutable_registration()->set_node_share(0.5);
  ASSERT_TRUE(stream->Write(request));
  v1::WatchRequest report;
  report.mutable_load()->mutable_router()->set_generated_tokens(7);
  ASSERT_TRUE(stream->Write(report));
  v1::DescribeClusterResponse cluster;
  while (cluster.routers_size() == 0 || cluster.routers(0).load().generated_tokens() != 7) {
    grpc::ClientContext context;
    ASSERT_TRUE(stub->DescribeCluster(&context, {}, &cluster).ok());
  }
  EXPECT_EQ(cluster.routers(0).registration().http_address(), "127.0.0.1:8000");
  EXPECT_EQ(cluster.routers(0).registration().price_class(), "m7i.large");
  EXPECT_EQ(cluster.routers(0).registration().capacity_type(), "on_demand");
  EXPECT_EQ(cluster.routers(0).registration().node_share(), 0.5);
  watching.TryCancel();
}

TEST_F(CoordinatorServerTest, RefusesANodeShareThatIsNone) {
  Registration shard(channel_);
  v1::ShardReport report = Registration::First("a");
  report.mutable_registration()->set_node_share(1.5);
  shard.Write(report);
  EXPECT_EQ(shard.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  auto stub = v1::Coordinator::NewStub(channel_);
  grpc::ClientContext context;
  const auto stream = stub->WatchPlacement(&context);
  v1::WatchRequest request;
  request.set_router("r");
  *request.mutable_model() = IdentityToProto(TestModel());
  request.mutable_registration()->set_capacity_type("free");
  stream->Write(request);
  v1::Placement placement;
  while (stream->Read(&placement)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST(CoordinatorServer, ServesItsMetrics) {
  CoordinatorOptions options;
  options.http_address = "127.0.0.1:0";
  const auto server = *CoordinatorServer::Build(options);
  const http::Client client = *http::Client::Create("http://" + server->http_address());
  // Gauges are first set by the first tick, this one after the others.
  std::string text;
  while (text.find("moesaic_nodes_without_price 1") == std::string::npos) {
    text = client.Get("/metrics")->body;
  }
  EXPECT_THAT(text, HasSubstr("moesaic_units_sharing_node 0"));
}

TEST(CoordinatorServer, RefusesImpossibleOptions) {
  CoordinatorOptions options;
  options.replicas = 0;
  EXPECT_EQ(CoordinatorServer::Build(options).status().code(), absl::StatusCode::kInvalidArgument);
  options = {};
  options.lease = options.heartbeat;
  EXPECT_EQ(CoordinatorServer::Build(options).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace moesaic::placement
