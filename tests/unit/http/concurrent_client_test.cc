#include "http/concurrent_client.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "http/server.h"
#include "http/sse.h"

namespace moesaic::http {
namespace {

using ::testing::ElementsAre;

class Heard : public ConcurrentClient::Observer {
 public:
  bool OnEvent(ConcurrentClient::CallId call, std::string_view data, absl::Duration) override {
    events[call].emplace_back(data);
    return data != "enough";
  }
  void OnDone(ConcurrentClient::CallId call, absl::StatusOr<Response> response,
              absl::Duration) override {
    done.emplace(call, std::move(response));
  }

  std::map<ConcurrentClient::CallId, std::vector<std::string>> events;
  std::map<ConcurrentClient::CallId, absl::StatusOr<Response>> done;
};

class ConcurrentClientTest : public testing::Test {
 protected:
  void SetUp() override {
    RouteTable routes;
    routes.Add("POST", "/v1/stream", [](const std::shared_ptr<Exchange>& exchange) {
      exchange->StartStream({});
      exchange->Write(SseData(exchange->request().body));
      exchange->Write(SseData("[DONE]"));
      exchange->FinishStream();
    });
    routes.Add("POST", "/v1/size", [](const std::shared_ptr<Exchange>& exchange) {
      exchange->Respond({.status = 200, .body = std::to_string(exchange->request().body.size())});
    });
    routes.Add("POST", "/v1/silence",
               [this](const std::shared_ptr<Exchange>& exchange) { Keep(exchange); });
    auto server = Server::Start({}, std::move(routes));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  void TearDown() override {
    server_->Shutdown(absl::ZeroDuration());
    Keep(nullptr);
  }

  void Keep(std::shared_ptr<Exchange> exchange) {
    base::MutexLock lock(mutex_);
    kept_ = std::move(exchange);
  }
  bool keeps() {
    base::MutexLock lock(mutex_);
    return kept_ != nullptr;
  }

  std::unique_ptr<ConcurrentClient> MakeClient(ConcurrentClient::Options options = {}) {
    auto client =
        ConcurrentClient::Create("http://127.0.0.1:" + std::to_string(server_->port()) + "/v1",
                                 options, base::Clock::Real());
    EXPECT_TRUE(client.ok()) << client.status();
    return *std::move(client);
  }

  void PollUntilDone(ConcurrentClient& client) {
    while (client.calls() > 0) {
      ASSERT_TRUE(client.Poll(base::Clock::Real().Monotonic() + absl::Seconds(60), heard_));
    }
  }

  std::unique_ptr<Server> server_;
  Heard heard_;
  base::Mutex mutex_;
  std::shared_ptr<Exchange> kept_ ABSL_GUARDED_BY(mutex_);  // never answered
};

TEST_F(ConcurrentClientTest, ManyAtOnce) {
  const auto client = MakeClient();
  std::vector<ConcurrentClient::CallId> ids;
  for (int i = 0; i < 50; ++i) ids.push_back(client->Post("/stream", std::to_string(i), {}));
  EXPECT_EQ(client->calls(), 50u);
  PollUntilDone(*client);
  ASSERT_EQ(heard_.done.size(), 50u);
  for (int i = 0; i < 50; ++i) {
    const absl::StatusOr<Response>& response = heard_.done.at(ids[i]);
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->status, 200);
    EXPECT_THAT(heard_.events[ids[i]], ElementsAre(std::to_string(i), "[DONE]"));
  }
}

TEST_F(ConcurrentClientTest, LargeRequestsGoOutInPieces) {
  const auto client = MakeClient();
  const auto id = client->Post("/size", std::string(8 << 20, 'x'), {});
  PollUntilDone(*client);
  ASSERT_TRUE(heard_.done.at(id).ok()) << heard_.done.at(id).status();
  EXPECT_EQ(heard_.done.at(id)->body, std::to_string(8 << 20));
}

TEST_F(ConcurrentClientTest, ObserverMayHaveEnough) {
  const auto client = MakeClient();
  const auto id = client->Post("/stream", "enough", {});
  PollUntilDone(*client);
  EXPECT_TRUE(heard_.done.at(id).ok());
  EXPECT_THAT(heard_.events[id], ElementsAre("enough"));
}

TEST_F(ConcurrentClientTest, OtherAnswersComeWhole) {
  const auto client = MakeClient();
  const auto id = client->Post("/nothing", "{}", {});
  PollUntilDone(*client);
  ASSERT_TRUE(heard_.done.at(id).ok());
  EXPECT_EQ(heard_.done.at(id)->status, 404);
  EXPECT_NE(heard_.done.at(id)->body, "");
}

TEST_F(ConcurrentClientTest, SilenceEndsAtTheDeadline) {
  const auto client = MakeClient({.call_timeout = absl::Milliseconds(30)});
  const auto id = client->Post("/silence", "{}", {});
  PollUntilDone(*client);
  EXPECT_EQ(heard_.done.at(id).status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(ConcurrentClientTest, ServerGoes) {
  const auto client = MakeClient();
  const auto under_way = client->Post("/silence", "{}", {});
  while (!keeps()) {
    client->Poll(base::Clock::Real().Monotonic() + absl::Milliseconds(5), heard_);
  }
  server_->Shutdown(absl::ZeroDuration());
  PollUntilDone(*client);
  EXPECT_EQ(heard_.done.at(under_way).status().code(), absl::StatusCode::kAborted);
  const auto late = client->Post("/stream", "{}", {});
  PollUntilDone(*client);
  EXPECT_EQ(heard_.done.at(late).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ConcurrentClientTest, NothingToDoReturnsInTime) {
  const auto client = MakeClient();
  EXPECT_TRUE(client->Poll(base::Clock::Real().Monotonic() + absl::Milliseconds(1), heard_));
}

TEST_F(ConcurrentClientTest, ConnectingCanBeInterrupted) {
  const int interrupt = eventfd(1, 0);
  const auto interrupted =
      ConcurrentClient::Create("http://127.0.0.1:" + std::to_string(server_->port()),
                               {.interrupt_fd = interrupt}, base::Clock::Real());
  EXPECT_EQ(interrupted.status().code(), absl::StatusCode::kCancelled);
  close(interrupt);
}

TEST_F(ConcurrentClientTest, PollCanBeInterrupted) {
  const int interrupt = eventfd(0, 0);
  const auto client = MakeClient({.interrupt_fd = interrupt});
  client->Post("/silence", "{}", {});
  ASSERT_EQ(eventfd_write(interrupt, 1), 0);
  bool going_on = true;
  while (going_on) {
    going_on = client->Poll(base::Clock::Real().Monotonic() + absl::Seconds(60), heard_);
  }
  client->CancelAll();
  EXPECT_EQ(client->calls(), 0u);
  close(interrupt);
}

TEST(ConcurrentClientCreateTest, NobodyThere) {
  EXPECT_EQ(ConcurrentClient::Create("http://127.0.0.1:1", {}, base::Clock::Real()).status().code(),
            absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace moesaic::http
