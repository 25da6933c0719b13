#include "services/cli/bench/load_run.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <mutex>

#include "gtest/gtest.h"
#include "http/server.h"
#include "http/sse.h"

namespace moesaic::services {
namespace {

using http::Exchange;
using http::SseData;

/// A load on a server in this process that answers as it is told.
class LoadRunTest : public testing::Test {
 protected:
  void SetUp() override {
    http::RouteTable routes;
    routes.Add("POST", "/v1/completions", [this](const std::shared_ptr<Exchange>& exchange) {
      ++requests_;
      answer_(exchange);
    });
    auto server = http::Server::Start({}, std::move(routes));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    target_.base_url = "http://127.0.0.1:" + std::to_string(server_->port()) + "/v1";
    target_.model = "m";
  }

  LoadResult Run(const LoadStage& stage, http::ConcurrentClient::Options options = {}) {
    auto client = http::ConcurrentClient::Create(target_.base_url, options, base::Clock::Real());
    EXPECT_TRUE(client.ok()) << client.status();
    const RequestMaker maker(target_, {.prompt = *LengthDistribution::Parse("5"),
                                       .output = *LengthDistribution::Parse("3")});
    return LoadRun(**client, target_, maker, stage, base::Clock::Real()).Run();
  }

  /// The kind of the failures of a load that has only one.
  std::string KindOfFailure(int requests = 2) {
    const LoadResult result = Run({.concurrency = 2, .requests = requests});
    EXPECT_EQ(result.ok, 0);
    EXPECT_EQ(result.failed, requests);
    EXPECT_EQ(result.failures.size(), 1u);
    return result.failures.empty() ? "" : result.failures.begin()->first;
  }

  static void Stream(const std::shared_ptr<Exchange>& exchange,
                     const std::vector<std::string>& events) {
    exchange->StartStream({});
    for (const std::string& event : events) exchange->Write(SseData(event));
    exchange->FinishStream();
  }

  static void Answer(const std::shared_ptr<Exchange>& exchange) {
    Stream(exchange,
           {R"({"choices":[{"text":"a"}]})", R"({"choices":[{"text":"b"}]})",
            R"({"choices":[{"text":"","finish_reason":"length"}]})",
            R"({"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":3}})", "[DONE]"});
  }

  std::function<void(const std::shared_ptr<Exchange>&)> answer_ = Answer;
  std::atomic<int> requests_ = 0;
  std::unique_ptr<http::Server> server_;
  BenchTarget target_;
};

TEST_F(LoadRunTest, ClosedLoop) {
  const LoadResult result = Run({.concurrency = 3, .requests = 20});
  EXPECT_EQ(result.sent, 20);
  EXPECT_EQ(result.ok, 20);
  EXPECT_EQ(result.failed, 0);
  EXPECT_EQ(requests_, 20);
  EXPECT_EQ(result.prompt_tokens, 100);
  EXPECT_EQ(result.output_tokens, 60);
  EXPECT_EQ(result.without_usage, 0);
  EXPECT_EQ(result.first_token.Summarize().count, 20u);
  EXPECT_EQ(result.between_chunks.Summarize().count, 20u);
  EXPECT_EQ(result.per_token.Summarize().count, 20u);
  const Summary total = result.end_to_end.Summarize();
  EXPECT_GE(total.p50, result.first_token.Summarize().p50);
  EXPECT_GT(result.wall, absl::ZeroDuration());
}

TEST_F(LoadRunTest, OpenLoop) {
  const LoadResult result =
      Run({.arrivals = Arrivals::Options{.rate = 500, .burst = 4}, .requests = 20});
  EXPECT_EQ(result.ok, 20);
  EXPECT_EQ(result.lateness.Summarize().count, 20u);
}

TEST_F(LoadRunTest, DurationEndsTheSending) {
  const LoadResult result = Run({.concurrency = 1, .duration = absl::Milliseconds(30)});
  EXPECT_EQ(result.ok, result.sent);
  EXPECT_EQ(result.ok, requests_);
  EXPECT_GE(result.ok, 1);
}

TEST_F(LoadRunTest, OpenLoopIsBounded) {
  std::mutex mutex;  // the server has several threads
  std::vector<std::shared_ptr<Exchange>> kept;
  answer_ = [&](const std::shared_ptr<Exchange>& exchange) {
    const std::lock_guard lock(mutex);
    kept.push_back(exchange);
    if (kept.size() == 2) {
      for (const auto& waiting : kept) Answer(waiting);
    }
  };
  const LoadResult result = Run(
      {.arrivals = Arrivals::Options{.rate = 1, .burst = 5}, .requests = 5, .max_in_flight = 2});
  EXPECT_EQ(result.ok, 2);
  EXPECT_EQ(result.failures.at("not_sent").count, 3);
}

TEST_F(LoadRunTest, WithoutUsageChunksAreCounted) {
  answer_ = [](const std::shared_ptr<Exchange>& exchange) {
    Stream(exchange, {R"({"choices":[{"text":"a"}]})", R"({"choices":[{"text":"b"}]})", "[DONE]"});
  };
  const LoadResult result = Run({.concurrency = 1, .requests = 2});
  EXPECT_EQ(result.ok, 2);
  EXPECT_EQ(result.without_usage, 2);
  EXPECT_EQ(result.output_tokens, 4);
  EXPECT_EQ(result.prompt_tokens, 10) << "as ordered";
}

TEST_F(LoadRunTest, KindsOfFailure) {
  answer_ = [](const std::shared_ptr<Exchange>& exchange) {
    exchange->Respond({.status = 429, .body = R"({"error":{"message":"full"}})"});
  };
  EXPECT_EQ(KindOfFailure(), "http_429");
  answer_ = [](const std::shared_ptr<Exchange>& exchange) {
    exchange->Respond({.status = 200, .body = R"({"choices":[{"text":"a"}]})"});
  };
  EXPECT_EQ(KindOfFailure(), "bad_answer") << "no event stream";
  answer_ = [](const std::shared_ptr<Exchange>& exchange) { Stream(exchange, {"x", "[DONE]"}); };
  EXPECT_EQ(KindOfFailure(), "bad_answer") << "no JSON";
  answer_ = [](const std::shared_ptr<Exchange>& exchange) {
    Stream(exchange,
           {R"({"choices":[{"text":"a"}]})", R"({"error":{"message":"lost"}})", "[DONE]"});
  };
  EXPECT_EQ(KindOfFailure(), "error_in_stream");
  answer_ = [](const std::shared_ptr<Exchange>& exchange) {
    Stream(exchange, {R"({"choices":[{"text":"a"}]})"});
  };
  EXPECT_EQ(KindOfFailure(), "broke_off") << "no [DONE]";
  answer_ = [](const std::shared_ptr<Exchange>& exchange) { Stream(exchange, {"[DONE]"}); };
  EXPECT_EQ(KindOfFailure(), "empty");
}

TEST_F(LoadRunTest, FailureMessageIsKept) {
  answer_ = [](const std::shared_ptr<Exchange>& exchange) {
    exchange->Respond({.status = 429, .body = R"({"error":{"message":"full"}})"});
  };
  const LoadResult result = Run({.concurrency = 1, .requests = 1});
  EXPECT_EQ(result.failures.at("http_429").example, "HTTP 429: full");
}

TEST_F(LoadRunTest, SilenceIsATimeout) {
  std::shared_ptr<Exchange> kept;
  answer_ = [&](const std::shared_ptr<Exchange>& exchange) { kept = exchange; };
  const LoadResult result =
      Run({.concurrency = 1, .requests = 1}, {.call_timeout = absl::Milliseconds(20)});
  EXPECT_EQ(result.failures.at("timeout").count, 1);
}

TEST_F(LoadRunTest, InterruptKeepsWhatThereIs) {
  const int interrupt = eventfd(0, 0);
  std::shared_ptr<Exchange> kept;
  answer_ = [&](const std::shared_ptr<Exchange>& exchange) {
    if (requests_ < 4) return Answer(exchange);
    kept = exchange;
    eventfd_write(interrupt, 1);
  };
  const LoadResult result = Run({.concurrency = 1, .requests = 100}, {.interrupt_fd = interrupt});
  EXPECT_TRUE(result.interrupted);
  EXPECT_EQ(result.ok, 3);
  EXPECT_EQ(result.given_up, 1);
  EXPECT_EQ(result.failed, 0);
  close(interrupt);
}

}  // namespace
}  // namespace moesaic::services
