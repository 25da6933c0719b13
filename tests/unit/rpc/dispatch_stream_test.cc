// The two ends of a Dispatch stream against each other, over loopback.
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rpc/completion_queue.h"
#include "rpc/dispatch_client.h"
#include "rpc/dispatch_server.h"
#include "rpc/server_factory.h"

namespace moesaic::rpc {
namespace {

using ::testing::HasSubstr;

constexpr int kHidden = 8;
constexpr absl::Duration kPatience = absl::Seconds(20);

LocalHello Hello(const std::string& sender) {
  return {.sender = sender,
          .build = "test",
          .incarnation = 1,
          .model = {"model", "f00d", "beef", kHidden, 1},
          .wire_dtypes = {WireDtype::kF32},
          .credit_bytes = 1 << 20};
}

/// Something a test can wait for: a list of strings that only grows.
class Journal {
 public:
  void Add(std::string line) {
    base::MutexLock lock(mutex_);
    lines_.push_back(std::move(line));
    changed_.NotifyAll();
  }
  /// True when `count` lines contain `text` before patience runs out.
  bool WaitFor(const std::string& text, int count = 1) {
    const absl::Time until = absl::Now() + kPatience;
    base::MutexLock lock(mutex_);
    while (Count(text) < count) {
      if (absl::Now() > until) return false;
      changed_.WaitFor(mutex_, absl::Milliseconds(100));
    }
    return true;
  }
  std::string Find(const std::string& text) {
    base::MutexLock lock(mutex_);
    for (const std::string& line : lines_) {
      if (line.find(text) != std::string::npos) return line;
    }
    return "";
  }

 private:
  int Count(const std::string& text) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return static_cast<int>(std::count_if(lines_.begin(), lines_.end(), [&](const auto& line) {
      return line.find(text) != std::string::npos;
    }));
  }
  base::Mutex mutex_;
  base::CondVar changed_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
};

/// Echoes every dispatch: result i = row i, unit 0.
class EchoShard final : public DispatchHandler {
 public:
  explicit EchoShard(LocalHello hello = Hello("shard-0"), std::string address = "127.0.0.1:0",
                     absl::Status refusal = absl::OkStatus())
      : refusal_(std::move(refusal)),
        dispatch_(std::make_unique<DispatchServer>(DispatchServer::Options{.hello = hello},
                                                   service_, *this, pool_)) {
    auto server = StartServer({.address = address, .dispatch = dispatch_.get()});
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  ~EchoShard() override { server_.reset(); }

  const std::string& address() const { return server_->address(); }
  int streams() const { return dispatch_->stream_count(); }
  void Stop() { server_->Shutdown(absl::ZeroDuration()); }
  Journal& journal() { return journal_; }

  absl::Status OnOpen(StreamId, const PeerHello& router) override {
    journal_.Add(absl::StrCat("open ", router.sender));
    return refusal_;
  }
  void OnDispatch(StreamId stream, Dispatch d) override {
    std::vector<std::uint32_t> rows(d.row_count), units(d.row_count, 0);
    for (std::uint32_t i = 0; i < d.row_count; ++i) rows[i] = i;
    dispatch_->Reply(stream, {.dispatch_id = d.dispatch_id,
                              .dtype = d.dtype,
                              .row_index = rows,
                              .unit_id = units,
                              .rows = d.rows,
                              .missing_units = {},
                              .storage = d.storage});
  }
  void OnCancel(StreamId, absl::Span<const std::uint64_t> ids) override {
    journal_.Add(absl::StrCat("cancel ", ids[0]));
  }
  void OnClose(StreamId) override { journal_.Add("close"); }

 private:
  const absl::Status refusal_;  // what OnOpen answers
  Journal journal_;
  BufferPool pool_;
  ExpertShardServiceBase service_;
  std::unique_ptr<DispatchServer> dispatch_;
  std::unique_ptr<ServerHandle> server_;
};

/// A client that writes down what happens.
class Router final : public DispatchClientHandler {
 public:
  explicit Router(const std::string& address, LocalHello hello = Hello("router-0"))
      : poller_(absl::Microseconds(50)) {
    poller_.Start();
    auto client = DispatchClient::Start({.address = address,
                                         .lane = Lane::kPrefill,
                                         .hello = hello,
                                         .initial_backoff = absl::Milliseconds(5),
                                         .max_backoff = absl::Milliseconds(20)},
                                        poller_, pool_, *this);
    EXPECT_TRUE(client.ok()) << client.status();
    client_ = *std::move(client);
  }
  ~Router() override { client_.reset(); }

  DispatchClient& client() { return *client_; }
  Journal& journal() { return journal_; }

  /// Sends `rows` rows whose values are all `value`.
  absl::Status Send(std::uint64_t id, std::uint32_t rows, float value) {
    Dispatch d;
    d.dispatch_id = id;
    d.row_count = rows;
    d.storage = pool_.Take(rows * kHidden * 4);
    std::fill_n(reinterpret_cast<float*>(d.storage.data()), rows * kHidden, value);
    d.rows = {d.storage.data(), rows * kHidden * 4};
    std::vector<std::uint32_t> index(rows), experts(rows, 0);
    for (std::uint32_t i = 0; i < rows; ++i) index[i] = i;
    const std::vector<float> weights(rows, 1.0f);
    d.row_index = index;
    d.expert_id = experts;
    d.weight = weights;
    return client_->Send(d);
  }

  void OnConnected(const PeerHello& shard) override {
    journal_.Add(absl::StrCat("connected ", shard.sender));
  }
  void OnReply(DispatchReply reply) override {
    const auto* values = reinterpret_cast<const float*>(reply.rows.data());
    journal_.Add(absl::StrCat("reply ", reply.dispatch_id, " of ", reply.row_index.size(), " = ",
                              values[reply.rows.size() / 4 - 1]));
  }
  void OnBroken(const absl::Status& status) override {
    journal_.Add(absl::StrCat("broken ", status.ToString()));
  }

 private:
  Journal journal_;
  BufferPool pool_;
  CompletionQueuePoller poller_;
  std::unique_ptr<DispatchClient> client_;
};

TEST(DispatchStreamTest, DispatchesAreAnswered) {
  EchoShard shard;
  Router router(shard.address());
  ASSERT_TRUE(router.journal().WaitFor("connected shard-0"));
  EXPECT_TRUE(router.client().connected());
  EXPECT_EQ(shard.streams(), 1);
  for (int id = 1; id <= 50; ++id) {
    ASSERT_TRUE(router.Send(id, 1 + id % 7, static_cast<float>(id)).ok());
  }
  for (int id = 1; id <= 50; ++id) {
    EXPECT_TRUE(
        router.journal().WaitFor(absl::StrCat("reply ", id, " of ", 1 + id % 7, " = ", id)));
  }
}

TEST(DispatchStreamTest, CancelsAndClosesAreSeen) {
  EchoShard shard;
  {
    Router router(shard.address());
    ASSERT_TRUE(router.journal().WaitFor("connected"));
    router.client().Cancel({77});
    EXPECT_TRUE(shard.journal().WaitFor("cancel 77"));
  }
  EXPECT_TRUE(shard.journal().WaitFor("close"));
}

TEST(DispatchStreamTest, AMismatchIsRefusedNamingBothValues) {
  LocalHello other = Hello("shard-0");
  other.model.numerics_id = "abba";
  EchoShard shard(other);
  Router router(shard.address());
  ASSERT_TRUE(router.journal().WaitFor("broken FAILED_PRECONDITION"));
  const std::string line = router.journal().Find("broken FAILED_PRECONDITION");
  EXPECT_THAT(line, HasSubstr("abba"));
  EXPECT_THAT(line, HasSubstr("beef"));
  EXPECT_EQ(shard.streams(), 0);
  EXPECT_EQ(router.Send(1, 1, 0).code(), absl::StatusCode::kUnavailable);
}

TEST(DispatchStreamTest, AHandlerMayRefuse) {
  EchoShard shard(Hello("shard-0"), "127.0.0.1:0", absl::UnavailableError("draining now"));
  Router router(shard.address());
  EXPECT_TRUE(router.journal().WaitFor("draining now"));
  EXPECT_TRUE(router.journal().WaitFor("broken UNAVAILABLE", 2)) << "it goes on trying";
}

TEST(DispatchStreamTest, TheClientFindsARestartedShard) {
  auto shard = std::make_unique<EchoShard>();
  const std::string address = shard->address();
  Router router(address);
  ASSERT_TRUE(router.journal().WaitFor("connected"));
  shard.reset();
  ASSERT_TRUE(router.journal().WaitFor("broken"));
  EXPECT_FALSE(router.client().connected());
  EXPECT_FALSE(router.client().last_error().ok());
  EchoShard again(Hello("shard-0"), address);
  ASSERT_TRUE(router.journal().WaitFor("connected", 2));
  EXPECT_TRUE(router.client().last_error().ok());
  ASSERT_TRUE(router.Send(9, 1, 2.5f).ok());
  EXPECT_TRUE(router.journal().WaitFor("reply 9 of 1 = 2.5"));
}

TEST(DispatchStreamTest, ManyRoutersAtOnce) {
  EchoShard shard;
  std::vector<std::unique_ptr<Router>> routers;
  for (int i = 0; i < 4; ++i) {
    routers.push_back(std::make_unique<Router>(shard.address(), Hello(absl::StrCat("r", i))));
  }
  for (auto& router : routers) ASSERT_TRUE(router->journal().WaitFor("connected"));
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(routers[i]->Send(1, 2, static_cast<float>(i)).ok());
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(routers[i]->journal().WaitFor(absl::StrCat("reply 1 of 2 = ", i)));
  }
}

TEST(DispatchStreamTest, ClientsStopWhileConnecting) {
  EchoShard shard;
  for (int i = 0; i < 20; ++i) Router router(shard.address());
  Router nobody("127.0.0.1:1");
  EXPECT_TRUE(nobody.journal().WaitFor("broken"));
}

TEST(DispatchStreamTest, ServersStopWhileStreamsAreOpen) {
  EchoShard shard;
  Router router(shard.address());
  ASSERT_TRUE(router.journal().WaitFor("connected"));
  for (int id = 1; id <= 20; ++id) router.Send(id, 5, 1.0f).IgnoreError();
  shard.Stop();
  EXPECT_TRUE(router.journal().WaitFor("broken"));
  EXPECT_EQ(shard.streams(), 0);
}

}  // namespace
}  // namespace moesaic::rpc
