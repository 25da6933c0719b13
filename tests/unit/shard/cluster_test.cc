// A coordinator and shards in one process, over loopback gRPC.

#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "gtest/gtest.h"
#include "placement/coordinator_server.h"
#include "placement/view/placement_watcher.h"
#include "proto/moesaic/v1/coordinator.grpc.pb.h"
#include "rpc/channel_factory.h"
#include "shard/shard.h"
#include "tests/unit/shard/tiny_checkpoint.h"

namespace moesaic::shard {
namespace {

using placement::CoordinatorServer;
using placement::PlacementMap;
using ::testing::Contains;
using ::testing::HasSubstr;

class ClusterTest : public ::testing::Test {
 protected:
  void StartCoordinator(std::uint32_t shards, std::uint32_t replicas = 1,
                        const std::string& address = "127.0.0.1:0") {
    placement::CoordinatorOptions options;
    options.listen_address = address;
    options.expect_shards = shards;
    options.replicas = replicas;
    options.heartbeat = absl::Milliseconds(50);
    auto server = CoordinatorServer::Build(options);
    ASSERT_TRUE(server.ok()) << server.status();
    coordinator_ = *std::move(server);
  }

  static ShardOptions Options(const std::string& name, const std::string& coordinator) {
    ShardOptions options;
    options.model_dir = kTinyCheckpoint;
    options.name = name;
    options.coordinator_address = coordinator;
    options.memory_bytes = 1 << 30;
    options.calibration = absl::ZeroDuration();  // evenness must not depend on the clock
    options.compute_dtype = base::DType::kF32;
    options.wire_dtype = base::DType::kF32;
    return options;
  }

  void StartShard(const std::string& name, const std::string& node = "") {
    ShardOptions options = Options(name, coordinator_->address());
    options.node = node;
    auto shard = Shard::Build(options);
    ASSERT_TRUE(shard.ok()) << shard.status();
    shards_.push_back(*std::move(shard));
  }

  /// Asks until there is an answer: a call may still meet the connection to a coordinator that has
  /// just been restarted.
  v1::DescribeClusterResponse Describe() {
    const auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(10);
    auto stub = v1::Coordinator::NewStub(*rpc::MakeChannel(coordinator_->address(), {}));
    v1::DescribeClusterResponse response;
    bool answered = false;
    while (!answered && std::chrono::system_clock::now() < deadline) {
      grpc::ClientContext context;
      context.set_wait_for_ready(true);
      context.set_deadline(deadline);
      answered = stub->DescribeCluster(&context, {}, &response).ok();
    }
    EXPECT_TRUE(answered);
    return response;
  }

  /// Asks until `reached` holds; gives up, and fails, after ten seconds.
  v1::DescribeClusterResponse Await(
      const std::function<bool(const v1::DescribeClusterResponse&)>& reached) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    v1::DescribeClusterResponse cluster = Describe();
    while (!reached(cluster) && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      cluster = Describe();
    }
    EXPECT_TRUE(reached(cluster)) << cluster.DebugString();
    return cluster;
  }
  v1::DescribeClusterResponse AwaitCoverage() {
    return Await([](const v1::DescribeClusterResponse& cluster) {
      return cluster.units_total() > 0 && cluster.units_below_replicas() == 0;
    });
  }

  std::unique_ptr<CoordinatorServer> coordinator_;
  std::vector<std::unique_ptr<Shard>> shards_;
};

TEST_F(ClusterTest, ThreeShardsCoverTheModelEvenly) {
  StartCoordinator(3);
  for (const char* name : {"a", "b", "c"}) StartShard(name);
  const v1::DescribeClusterResponse cluster = AwaitCoverage();
  EXPECT_EQ(cluster.units_total(), 4u * 16u);
  ASSERT_EQ(cluster.shards_size(), 3);
  for (const v1::ShardStatus& shard : cluster.shards()) {
    EXPECT_GE(shard.held_units(), 21u);
    EXPECT_LE(shard.held_units(), 22u);
    EXPECT_EQ(shard.state(), "SERVING");
    EXPECT_EQ(shard.problem(), "");
  }
  EXPECT_EQ(cluster.warnings_size(), 0);
}

TEST_F(ClusterTest, AShardOnEveryInterfaceNamesOneThatOthersReach) {
  StartCoordinator(1);
  ShardOptions options = Options("a", coordinator_->address());
  options.insecure = true;
  options.listen_address = "0.0.0.0:0";
  options.http_address = "0.0.0.0:0";
  options.advertised_address = "127.0.0.1:9";
  auto shard = Shard::Build(options);
  ASSERT_TRUE(shard.ok()) << shard.status();
  const v1::DescribeClusterResponse cluster =
      Await([](const auto& described) { return described.shards_size() == 1; });
  const std::string& announced = cluster.shards(0).http_address();
  EXPECT_EQ(announced, "127.0.0.1" + (*shard)->http_address().substr(sizeof("0.0.0.0") - 1));
}

TEST_F(ClusterTest, ARouterGetsThePlacementAndKeepsItOverARestartOfTheCoordinator) {
  StartCoordinator(2);
  const std::string address = coordinator_->address();
  StartShard("a");
  StartShard("b");
  const v1::DescribeClusterResponse before = AwaitCoverage();
  placement::PlacementHolder holder;
  const auto watcher = placement::PlacementWatcher::Start(
      {.router = "r", .model = placement::IdentityFromProto(before.model()), .state_path = ""},
      *rpc::MakeChannel(address, {}), holder);
  ASSERT_TRUE(watcher.ok()) << watcher.status();
  Await([&](const auto& cluster) {
    return cluster.routers_size() == 1 &&
           cluster.routers(0).acknowledged().version() == cluster.epoch().version();
  });
  EXPECT_EQ(holder.Current()->units_uncovered(), 0u);

  coordinator_.reset();
  EXPECT_EQ(holder.Current()->units_uncovered(), 0u) << "the last placement serves on";
  StartCoordinator(2, 1, address);
  const v1::DescribeClusterResponse after = Await([&](const auto& cluster) {
    return cluster.units_total() > 0 && cluster.units_uncovered() == 0 &&
           cluster.routers_size() == 1 &&
           cluster.routers(0).acknowledged().term() == cluster.epoch().term();
  });
  EXPECT_GT(after.epoch().term(), before.epoch().term());
  EXPECT_EQ(holder.Current()->epoch().term, after.epoch().term());
  EXPECT_EQ(holder.Current()->units_uncovered(), 0u);
}

TEST_F(ClusterTest, ReplicasLieOnDifferentNodes) {
  StartCoordinator(4, /*replicas=*/2);
  for (const auto& [name, node] : {std::pair("a", "x"), {"b", "y"}, {"c", "x"}, {"d", "y"}}) {
    StartShard(name, node);
  }
  const v1::DescribeClusterResponse cluster = AwaitCoverage();
  EXPECT_EQ(cluster.warnings_size(), 0);
  for (const v1::ShardStatus& shard : cluster.shards()) EXPECT_EQ(shard.held_units(), 32u);
}

TEST_F(ClusterTest, AShardOfOtherArithmeticIsRefused) {
  StartCoordinator(1);
  StartShard("a");
  AwaitCoverage();
  ShardOptions options = Options("b", coordinator_->address());
  options.compute_dtype = base::DType::kBF16;
  auto other = Shard::Build(options);
  ASSERT_TRUE(other.ok());
  // The refusal is the coordinator's answer to a raw registration of that shard's identity.
  auto stub = v1::Coordinator::NewStub(*rpc::MakeChannel(coordinator_->address(), {}));
  grpc::ClientContext context;
  auto stream = stub->Register(&context);
  v1::ShardReport report;
  const v1::DescribeClusterResponse cluster = Describe();
  v1::ShardRegistration& registration = *report.mutable_registration();
  registration.set_shard("c");
  registration.set_address("127.0.0.1:1");
  registration.set_memory_bytes(1);
  *registration.mutable_model() = cluster.model();
  *registration.mutable_topology() = cluster.topology();
  registration.mutable_model()->set_numerics_id("other");
  stream->Write(report);
  v1::ShardDirective directive;
  EXPECT_FALSE(stream->Read(&directive));
  const grpc::Status refused = stream->Finish();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(refused.error_message(), HasSubstr(cluster.model().numerics_id()));
  EXPECT_THAT(refused.error_message(), HasSubstr("'other'"));
  EXPECT_EQ(Describe().shards_size(), 1);
}

}  // namespace
}  // namespace moesaic::shard
