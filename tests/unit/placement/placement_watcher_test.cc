#include "placement/view/placement_watcher.h"

#include <unistd.h>

#include <filesystem>

#include "base/mutex.h"
#include "gmock/gmock.h"
#include "grpcpp/channel.h"
#include "grpcpp/server_context.h"
#include "gtest/gtest.h"
#include "placement/view/placement_file.h"
#include "proto/moesaic/v1/coordinator.grpc.pb.h"
#include "rpc/channel_factory.h"
#include "rpc/server_factory.h"
#include "tests/unit/placement/placement_fixture.h"

namespace moesaic::placement {
namespace {

/// A coordinator that gives every watcher one placement and notes what it hears.
class OnePlacement final : public v1::Coordinator::Service {
 public:
  explicit OnePlacement(base::PlacementEpoch epoch) : epoch_(epoch) {}

  grpc::Status WatchPlacement(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::Placement, v1::WatchRequest>* stream) override {
    stream->SendInitialMetadata();
    v1::WatchRequest request;
    if (!stream->Read(&request)) return grpc::Status::CANCELLED;
    Note(request);
    stream->Write(TestMap(epoch_)->ToProto());
    while (stream->Read(&request)) Note(request);
    return grpc::Status::OK;
  }

  /// Blocks until `count` requests have been heard.
  std::vector<v1::WatchRequest> Await(std::size_t count) {
    base::MutexLock lock(mutex_);
    while (requests_.size() < count) heard_.Wait(mutex_);
    return requests_;
  }

 private:
  void Note(const v1::WatchRequest& request) {
    base::MutexLock lock(mutex_);
    requests_.push_back(request);
    heard_.NotifyAll();
  }

  const base::PlacementEpoch epoch_;
  base::Mutex mutex_;
  base::CondVar heard_;
  std::vector<v1::WatchRequest> requests_ ABSL_GUARDED_BY(mutex_);
};

std::unique_ptr<rpc::ServerHandle> Serve(OnePlacement& service, const std::string& address) {
  rpc::ServerOptions options;
  options.address = address;
  options.services = {&service};
  return *rpc::StartServer(std::move(options));
}

std::unique_ptr<PlacementWatcher> Watch(const std::string& address, PlacementHolder& holder,
                                        const std::string& state_path = "") {
  return *PlacementWatcher::Start(
      {.router = "r",
       .model = TestModel(),
       .state_path = state_path,
       .initial_backoff = absl::Milliseconds(5),
       .max_backoff = absl::Milliseconds(20)},
      *rpc::MakeChannel(address, {.credentials = {},
                                  .initial_backoff = absl::Milliseconds(5),
                                  .max_backoff = absl::Milliseconds(20)}),
      holder);
}

TEST(PlacementWatcher, AdoptsAcknowledgesAndRemembers) {
  const std::string path =
      ::testing::TempDir() + "/placement_watcher_test." + std::to_string(::getpid());
  OnePlacement service({3, 7});
  const auto server = Serve(service, "127.0.0.1:0");
  PlacementHolder holder;
  {
    const auto watcher = Watch(server->address(), holder, path);
    const auto requests = service.Await(2);
    EXPECT_EQ(requests[0].router(), "r");
    EXPECT_EQ(requests[0].model().numerics_id(), "n1");
    EXPECT_EQ(requests[0].acknowledged().term(), 0u);
    EXPECT_EQ(requests[1].acknowledged().term(), 3u);
    EXPECT_EQ(requests[1].acknowledged().version(), 7u);
    EXPECT_TRUE(watcher->connected());
    EXPECT_EQ(holder.Current()->epoch(), (base::PlacementEpoch{3, 7}));
  }
  // The next process starts with what this one remembered, without a coordinator.
  server->Shutdown(absl::ZeroDuration());
  PlacementHolder next;
  const auto watcher = Watch(server->address(), next, path);
  ASSERT_NE(next.Current(), nullptr);
  EXPECT_EQ(next.Current()->epoch(), (base::PlacementEpoch{3, 7}));
  std::filesystem::remove(path);
}

TEST(PlacementWatcher, ReportsTheLoad) {
  OnePlacement service({3, 7});
  const auto server = Serve(service, "127.0.0.1:0");
  PlacementHolder holder;
  PlacementWatcher::Options options;
  options.router = "r";
  options.model = TestModel();
  options.load_interval = absl::Milliseconds(5);
  options.take_load = [] {
    LoadReport report;
    report.calls = 5;
    return report;
  };
  const auto watcher = *PlacementWatcher::Start(std::move(options),
                                                *rpc::MakeChannel(server->address(), {}), holder);
  const auto requests = service.Await(4);
  EXPECT_FALSE(requests[0].has_load());
  EXPECT_EQ(requests[3].load().calls(), 5u);
}

TEST(PlacementWatcher, ReconnectsAndTellsANewCoordinatorWhatItKnows) {
  OnePlacement first({3, 7});
  auto server = Serve(first, "127.0.0.1:0");
  const std::string address = server->address();
  PlacementHolder holder;
  const auto watcher = Watch(address, holder);
  first.Await(2);
  server.reset();
  OnePlacement second({4, 1});
  server = Serve(second, address);
  const auto requests = second.Await(2);
  EXPECT_EQ(requests[0].acknowledged().term(), 3u);
  EXPECT_EQ(requests[1].acknowledged().term(), 4u);
  EXPECT_EQ(holder.Current()->epoch().term, 4u);
}

TEST(PlacementWatcher, KeepsItsPlacementWhenOfferedAnOlderOne) {
  OnePlacement service({1, 1});
  const auto server = Serve(service, "127.0.0.1:0");
  PlacementHolder holder;
  ASSERT_TRUE(holder.Adopt(TestMap({5, 2})).ok());
  const auto watcher = Watch(server->address(), holder);
  EXPECT_EQ(service.Await(2)[1].acknowledged().term(), 5u);
  EXPECT_EQ(holder.Current()->epoch().term, 5u);
}

TEST(PlacementWatcher, IgnoresADamagedOrForeignMemory) {
  const std::string path =
      ::testing::TempDir() + "/placement_watcher_test_foreign." + std::to_string(::getpid());
  PlacementMap::Parts parts = TestParts({1, 1});
  parts.model.model_fingerprint = "another";
  ASSERT_TRUE(SavePlacement(path, **PlacementMap::Build(parts)).ok());
  PlacementHolder holder;
  const auto watcher = Watch("127.0.0.1:1", holder, path);
  EXPECT_EQ(holder.Current(), nullptr);
  EXPECT_FALSE(watcher->connected());
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace moesaic::placement
