#include "http/debug_route.h"

#include <memory>
#include <string>

#include "base/log.h"
#include "gtest/gtest.h"

namespace moesaic::http {
namespace {

/// An exchange with the answer it got.
class FakeExchange final : public Exchange {
 public:
  explicit FakeExchange(Request request) : request_(std::move(request)) {}
  const Request& request() const override { return request_; }
  void Respond(Response response) override { response_ = std::move(response); }
  void StartStream(std::vector<Header>) override {}
  bool Write(std::string) override { return false; }
  void FinishStream() override {}
  void OnDisconnect(absl::AnyInvocable<void()>) override {}
  const Response& response() const { return response_; }

 private:
  const Request request_;
  Response response_;
};

class DebugRouteTest : public testing::Test {
 protected:
  ~DebugRouteTest() override { base::SetLogLevel(before_); }

  Response Call(DebugAccess access, std::string method, std::string body,
                std::string peer = "127.0.0.1") {
    RouteTable routes;
    AddLogLevelRoute(access, routes);
    Request request;
    request.method = std::move(method);
    request.path = "/debug/log-level";
    request.body = std::move(body);
    request.peer = std::move(peer);
    const auto exchange = std::make_shared<FakeExchange>(request);
    (*routes.Find(request.method, request.path).handler)(exchange);
    return exchange->response();
  }

  const base::LogLevel before_ = base::CurrentLogLevel();
};

TEST_F(DebugRouteTest, ChangesTheLevel) {
  for (const char* body : {R"({"level": "debug"})", "debug", " debug\n"}) {
    base::SetLogLevel(base::LogLevel::kInfo);
    const Response response = Call({}, "PUT", body);
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, R"({"level":"debug"})");
    EXPECT_EQ(base::CurrentLogLevel(), base::LogLevel::kDebug);
  }
  EXPECT_EQ(Call({}, "GET", "").body, R"({"level":"debug"})");
}

TEST_F(DebugRouteTest, WhatIsNoLevelIs400AndChangesNothing) {
  for (const char* body : {"", "verbose", "DEBUG", "{}", "[]", R"({"level": 1})",
                           "{\"level\": ", R"({"level": "\ud800"})", "\xFF", "\"debug\""}) {
    EXPECT_EQ(Call({}, "PUT", body).status, 400) << body;
    EXPECT_EQ(base::CurrentLogLevel(), before_);
  }
}

TEST_F(DebugRouteTest, AnswersThisMachineUnlessOpened) {
  for (const char* peer : {"127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"}) {
    EXPECT_EQ(Call({}, "GET", "", peer).status, 200) << peer;
  }
  for (const char* peer : {"10.0.0.7", "::ffff:10.0.0.7", "fe80::1", "", "128.0.0.1"}) {
    EXPECT_EQ(Call({}, "GET", "", peer).status, 403) << peer;
    EXPECT_EQ(Call({}, "PUT", "error", peer).status, 403) << peer;
    EXPECT_EQ(base::CurrentLogLevel(), before_);
    EXPECT_EQ(Call({.remote = true}, "GET", "", peer).status, 200) << peer;
  }
}

}  // namespace
}  // namespace moesaic::http
