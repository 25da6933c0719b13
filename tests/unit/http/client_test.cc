#include "http/client.h"

#include <unistd.h>

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "http/server.h"
#include "http/sse.h"

namespace moesaic::http {
namespace {

using ::testing::ElementsAre;

class ClientTest : public testing::Test {
 protected:
  void SetUp() override {
    RouteTable routes;
    routes.Add("POST", "/base/echo", [](std::shared_ptr<Exchange> exchange) {
      exchange->Respond(
          {.status = 200, .content_type = "text/plain", .body = exchange->request().body});
    });
    routes.Add("POST", "/base/stream", [](std::shared_ptr<Exchange> exchange) {
      exchange->StartStream({});
      for (const char* event : {"one", "two", "[DONE]"}) exchange->Write(SseData(event));
      exchange->FinishStream();
    });
    routes.Add("GET", "/base/hang-up", [this](const std::shared_ptr<Exchange>& exchange) {
      kept_ = exchange;
      received_.set_value();
    });
    auto server = Server::Start({}, std::move(routes));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  Client MakeClient(ClientOptions options = {}) const {
    return *Client::Create("http://127.0.0.1:" + std::to_string(server_->port()) + "/base/",
                           options);
  }

  std::unique_ptr<Server> server_;
  std::shared_ptr<Exchange> kept_;  // never answered
  std::promise<void> received_;
};

TEST_F(ClientTest, PostsBelowThePrefix) {
  const auto response = MakeClient().Post("/echo", "hello");
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, "hello");
  EXPECT_EQ(response->content_type, "text/plain");
}

TEST_F(ClientTest, AnyStatusIsAnAnswer) {
  const auto response = MakeClient().Get("/nothing");
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 404);
}

TEST_F(ClientTest, StreamsEvents) {
  std::vector<std::string> events;
  const auto response = MakeClient().PostStreaming("/stream", "{}", [&](std::string_view data) {
    events.emplace_back(data);
    return true;
  });
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 200);
  EXPECT_THAT(events, ElementsAre("one", "two", "[DONE]"));
}

TEST_F(ClientTest, StopsWhenTheCallerHasEnough) {
  int events = 0;
  const auto response = MakeClient().PostStreaming("/stream", "{}", [&](std::string_view) {
    ++events;
    return false;
  });
  EXPECT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(events, 1);
}

TEST_F(ClientTest, CanBeInterruptedWhileItWaits) {
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  std::thread interrupter([&] {
    received_.get_future().wait();
    EXPECT_EQ(write(pipe_fds[1], "x", 1), 1);
  });
  const auto response = MakeClient({.interrupt_fd = pipe_fds[0]}).Get("/hang-up");
  interrupter.join();
  EXPECT_EQ(response.status().code(), absl::StatusCode::kCancelled);
  close(pipe_fds[0]);
  close(pipe_fds[1]);
}

TEST_F(ClientTest, AnswerThatIsNoStreamComesWhole) {
  const auto response =
      MakeClient().PostStreaming("/echo", "{}", [](std::string_view) { return true; });
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->body, "{}");
}

TEST_F(ClientTest, AnswerIsBounded) {
  const auto response = MakeClient({.max_response_bytes = 10}).Post("/echo", "12345678901");
  EXPECT_EQ(response.status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(ClientTest, ServerThatHangsUpWithoutAnAnswer) {
  absl::StatusOr<Response> response = absl::UnknownError("not called");
  std::thread client([&] { response = MakeClient().Get("/hang-up"); });
  received_.get_future().wait();
  server_->Shutdown(absl::ZeroDuration());
  client.join();
  EXPECT_EQ(response.status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ClientTest, NobodyThere) {
  const Client client = MakeClient();
  server_->Shutdown(absl::ZeroDuration());
  EXPECT_EQ(client.Get("/echo").status().code(), absl::StatusCode::kUnavailable);
}

TEST(ClientCreateTest, RefusesWhatIsNoUrl) {
  EXPECT_EQ(Client::Create("localhost:80").status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace moesaic::http
