#include "http/server.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "http/client.h"
#include "http/sse.h"
#include "tests/unit/http/raw_client.h"

namespace moesaic::http {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// Something that happens once on another thread.
class Event {
 public:
  void Notify() {
    base::MutexLock lock(mutex_);
    happened_ = true;
    changed_.NotifyAll();
  }
  /// False when it has not happened within ten seconds.
  bool Wait() {
    base::MutexLock lock(mutex_);
    for (int i = 0; i < 1000 && !happened_; ++i) changed_.WaitFor(mutex_, absl::Milliseconds(10));
    return happened_;
  }

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  bool happened_ = false;
};

class ServerTest : public testing::Test {
 protected:
  /// Serves GET /hello, POST /length, and whatever the test adds.
  void Start(ServerOptions options = {}) {
    routes_.Add("GET", "/hello", [](std::shared_ptr<Exchange> exchange) {
      exchange->Respond({.content_type = "text/plain", .body = "hello"});
    });
    routes_.Add("POST", "/length", [](std::shared_ptr<Exchange> exchange) {
      exchange->Respond({.body = std::to_string(exchange->request().body.size())});
    });
    auto server = Server::Start(std::move(options), std::move(routes_));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  /// Serves GET `path` by doing `first` and leaving the exchange in `kept`, unanswered.
  void Keep(
      const char* path, std::shared_ptr<Exchange>& kept, Event& received,
      std::function<void(Exchange&)> first = [](Exchange&) {}) {
    routes_.Add("GET", path, [&kept, &received, first](std::shared_ptr<Exchange> exchange) {
      first(*exchange);
      kept = std::move(exchange);
      received.Notify();
    });
  }

  RouteTable routes_;
  std::unique_ptr<Server> server_;
};

constexpr std::string_view kHello = "GET /hello HTTP/1.1\r\nhost: x\r\n\r\n";

TEST_F(ServerTest, KeepsConnectionsAndServesPipelinedRequestsInOrder) {
  Start();
  RawClient client(server_->port());
  client.Send(absl::StrCat("POST /length HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc",
                           absl::string_view(kHello.data(), kHello.size())));
  EXPECT_THAT(client.ReadUntil("\r\n\r\n3"), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(client.ReadUntil("\r\n\r\nhello"), HasSubstr("connection: keep-alive"));
  client.Send(kHello);
  EXPECT_THAT(client.ReadUntil("hello"), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(ServerTest, ClosesWhenAsked) {
  Start();
  RawClient client(server_->port());
  client.Send("GET /hello HTTP/1.1\r\nconnection: close\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), EndsWith("\r\n\r\nhello"));
}

TEST_F(ServerTest, HeadHasNoBody) {
  Start();
  RawClient client(server_->port());
  client.Send("HEAD /hello HTTP/1.1\r\nconnection: close\r\n\r\n");
  const std::string answer = client.ReadAll();
  EXPECT_THAT(answer, HasSubstr("content-length: 5"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST_F(ServerTest, UnknownPathAndMethod) {
  Start();
  RawClient client(server_->port());
  client.Send("GET /nothing%20here HTTP/1.1\r\n\r\n");
  const std::string unknown = client.ReadUntil("}}");
  EXPECT_THAT(unknown, StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(unknown, HasSubstr("no such path: /nothing here"));
  client.Send("DELETE /hello HTTP/1.1\r\n\r\n");
  const std::string method = client.ReadUntil("}}");
  EXPECT_THAT(method, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(method, HasSubstr("allow: GET\r\n"));
}

TEST_F(ServerTest, MalformedRequestsGet400) {
  Start();
  for (const char* bytes :
       {"nonsense\r\n\r\n", "GET /%zz HTTP/1.1\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
        "POST /length HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        "POST /length HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"}) {
    RawClient client(server_->port());
    client.Send(bytes);
    EXPECT_THAT(client.ReadUntil("}}"), StartsWith("HTTP/1.1 400 ")) << bytes;
  }
}

TEST_F(ServerTest, BodyAtTheLimitPassesOneMoreByteDoesNot) {
  Start({.max_body_bytes = 1000});
  RawClient client(server_->port());
  client.Send("POST /length HTTP/1.1\r\ncontent-length: 1000\r\n\r\n" + std::string(1000, 'x'));
  EXPECT_THAT(client.ReadUntil("\r\n\r\n1000"), StartsWith("HTTP/1.1 200 "));
  client.Send("POST /length HTTP/1.1\r\ncontent-length: 1001\r\n\r\n");
  const std::string refused = client.ReadUntil("}}");
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(refused, HasSubstr("limit of 1000 bytes"));
}

TEST_F(ServerTest, ChunkedBodyIsBoundedToo) {
  Start({.max_body_bytes = 1000});
  RawClient client(server_->port());
  client.Send("POST /length HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n" +
              std::string(1001, 'x') + "\r\n0\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("}}"), StartsWith("HTTP/1.1 413 "));
}

TEST_F(ServerTest, AChunkedBodyComesByteByByte) {
  Start({.io_threads = 1});
  for (const std::string_view body : {"0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n"}) {
    RawClient client(server_->port());
    client.Send("POST /length HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n");
    for (const char byte : body) {
      // Between two of ours the server has read the last: it answers others in the meantime.
      client.Send(std::string(1, byte));
      RawClient other(server_->port());
      other.Send(std::string(kHello));
      EXPECT_THAT(other.ReadUntil("\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
    }
    EXPECT_THAT(client.ReadUntil(body.size() > 5 ? "\r\n\r\n3" : "\r\n\r\n0"),
                StartsWith("HTTP/1.1 200 "));
  }
}

TEST_F(ServerTest, HugeBodySentBlindlyStillSeesThe413) {
  Start({.max_body_bytes = 1000});
  const auto client = Client::Create(absl::StrCat("http://127.0.0.1:", server_->port()));
  const auto response = client->Post("/length", std::string(100 << 20, 'x'));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 413);
}

TEST_F(ServerTest, HeadersAreBounded) {
  Start({.max_header_bytes = 1000});
  RawClient client(server_->port());
  client.Send("GET /hello HTTP/1.1\r\nx: " + std::string(2000, 'x') + "\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("}}"), StartsWith("HTTP/1.1 431 "));
}

TEST_F(ServerTest, ABodyWhoseEndCannotBeToldIsRefused) {
  Start();
  for (const char* encodings : {"chunked, identity", "identity", "gzip"}) {
    RawClient client(server_->port());
    client.Send(absl::StrCat("POST /length HTTP/1.1\r\ntransfer-encoding: ", encodings,
                             "\r\n\r\n0\r\n\r\n", std::string(kHello)));
    // Nothing behind it is taken for another request.
    EXPECT_THAT(client.ReadUntil("}}"), AllOf(StartsWith("HTTP/1.1 400 "), EndsWith("}}")))
        << encodings;
  }
}

TEST_F(ServerTest, AChunkSizeLineWithoutEndIsBounded) {
  Start({.max_header_bytes = 1000});
  RawClient client(server_->port());
  client.Send("POST /length HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5;");
  // Ten times what the server may keep; it stops reading, so that we cannot send it all.
  for (int i = 0; i < 100 && client.Send(std::string(10'000, 'x')); ++i) {
  }
  EXPECT_THAT(client.ReadUntil("}}"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(ServerTest, BodiesOfAllConnectionsAreBoundedTogether) {
  // One thread takes what came first first: the body that stays must be there before the others.
  Start({.io_threads = 1, .max_bodies_bytes = 1000});
  RawClient first(server_->port());
  first.Send("POST /length HTTP/1.1\r\ncontent-length: 900\r\n\r\n" + std::string(800, 'x'));
  const std::string request =
      "POST /length HTTP/1.1\r\ncontent-length: 300\r\n\r\n" + std::string(300, 'x');
  std::string answer;
  for (int i = 0; i < 1000 && !answer.starts_with("HTTP/1.1 503 "); ++i) {
    RawClient second(server_->port());  // until the server has read what the first has sent
    second.Send(request);
    answer = second.ReadUntil("\r\n\r\n");
  }
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(answer, HasSubstr("\r\nretry-after: 1\r\n"));
  first.Send(std::string(100, 'x'));
  EXPECT_THAT(first.ReadUntil("\r\n\r\n900"), StartsWith("HTTP/1.1 200 "));
  RawClient third(server_->port());  // what the first held has been given back
  third.Send(request);
  EXPECT_THAT(third.ReadUntil("\r\n\r\n300"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(ServerTest, ExpectContinueIsAnswered) {
  Start();
  RawClient client(server_->port());
  client.Send("POST /length HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n");
  EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("ab");
  EXPECT_THAT(client.ReadUntil("\r\n\r\n2"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(ServerTest, SlowHeadersAndBodiesTimeOut) {
  Start({.header_timeout = absl::Milliseconds(30), .body_timeout = absl::Milliseconds(30)});
  RawClient headers(server_->port());
  headers.Send("GET /hel");
  EXPECT_THAT(headers.ReadUntil("}}"), StartsWith("HTTP/1.1 408 "));
  RawClient body(server_->port());
  body.Send("POST /length HTTP/1.1\r\ncontent-length: 10\r\n\r\nabc");
  EXPECT_THAT(body.ReadUntil("}}"), StartsWith("HTTP/1.1 408 "));
}

TEST_F(ServerTest, IdleConnectionIsClosedSilently) {
  Start({.idle_timeout = absl::Milliseconds(30)});
  RawClient client(server_->port());
  EXPECT_EQ(client.ReadAll(), "");
}

TEST_F(ServerTest, TooManyConnectionsAreRefused) {
  Start({.max_connections = 1});
  RawClient first(server_->port());
  first.Send(kHello);
  first.ReadUntil("hello");
  RawClient second(server_->port());
  EXPECT_THAT(second.ReadUntil("}}"), StartsWith("HTTP/1.1 503 "));
}

TEST_F(ServerTest, StreamsInChunksAndKeepsTheConnection) {
  routes_.Add("POST", "/stream", [](std::shared_ptr<Exchange> exchange) {
    exchange->StartStream({{"x-request-id", "7"}, {"evil", "a\r\nb: c"}});
    exchange->Write(SseData("one"));
    exchange->Write(SseData("[DONE]"));
    exchange->FinishStream();
  });
  Start();
  RawClient client(server_->port());
  client.Send("POST /stream HTTP/1.1\r\ncontent-length: 0\r\n\r\n");
  const std::string answer = client.ReadUntil("\r\n0\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("content-type: text/event-stream"));
  EXPECT_THAT(answer, HasSubstr("cache-control: no-cache"));
  EXPECT_THAT(answer, HasSubstr("x-request-id: 7\r\n"));
  EXPECT_THAT(answer, Not(HasSubstr("evil")));
  EXPECT_THAT(answer, HasSubstr("b\r\ndata: one\n\n\r\n"));
  client.Send(kHello);
  EXPECT_THAT(client.ReadUntil("hello"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(ServerTest, Http10StreamEndsWithTheConnection) {
  routes_.Add("GET", "/stream", [](std::shared_ptr<Exchange> exchange) {
    exchange->StartStream({});
    exchange->Write(SseData("one"));
    exchange->FinishStream();
  });
  Start();
  RawClient client(server_->port());
  client.Send("GET /stream HTTP/1.0\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), EndsWith("\r\n\r\ndata: one\n\n"));
}

TEST_F(ServerTest, SilentStreamsAreKeptAlive) {
  Event received;
  std::shared_ptr<Exchange> stream;
  Keep("/stream", stream, received, [](Exchange& exchange) { exchange.StartStream({}); });
  Start({.stream_keep_alive = absl::Milliseconds(5)});
  RawClient client(server_->port());
  client.Send("GET /stream HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(received.Wait());
  constexpr char kComment[] = "e\r\n: keep-alive\n\n\r\n";
  for (int i = 0; i < 2; ++i) EXPECT_THAT(client.ReadUntil(kComment), EndsWith(kComment));
  stream->Write(SseData("one"));
  EXPECT_THAT(client.ReadUntil("data: one"), EndsWith("data: one"));
  EXPECT_THAT(client.ReadUntil(kComment), EndsWith(kComment));
  stream->FinishStream();
  EXPECT_THAT(client.ReadUntil("0\r\n\r\n"), EndsWith("0\r\n\r\n"));
  // The next answer on the connection is no stream.
  client.Send(kHello);
  EXPECT_THAT(client.ReadUntil("hello"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(ServerTest, OnlyStreamsAreKeptAlive) {
  Event received;
  std::shared_ptr<Exchange> kept;
  Keep("/wait", kept, received);
  Start({.stream_keep_alive = absl::ZeroDuration()});
  RawClient client(server_->port());
  client.Send("GET /wait HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(received.Wait());
  kept->Respond({.body = "late"});
  EXPECT_THAT(client.ReadUntil("late"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(ServerTest, DisconnectIsNoticedWhileWaiting) {
  Event received, gone;
  std::shared_ptr<Exchange> kept;
  Keep("/wait", kept, received,
       [&](Exchange& exchange) { exchange.OnDisconnect([&] { gone.Notify(); }); });
  Start();
  RawClient client(server_->port());
  client.Send("GET /wait HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(received.Wait());
  client.Close();
  EXPECT_TRUE(gone.Wait());
  kept->Respond({});
  EXPECT_FALSE(kept->Write("x"));
}

TEST_F(ServerTest, ClientThatStopsReadingIsDropped) {
  Event received, gone;
  std::shared_ptr<Exchange> stream;
  Keep("/stream", stream, received, [&](Exchange& exchange) {
    exchange.OnDisconnect([&] { gone.Notify(); });
    exchange.StartStream({});
  });
  Start({.max_stream_buffer_bytes = 64 << 10});
  RawClient client(server_->port());
  client.ShrinkReceiveBuffer();
  client.Send("GET /stream HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(received.Wait());
  // More than the buffers of both kernels' ends and ours hold.
  const std::string event = SseData(std::string(16 << 10, 'x'));
  bool taken = true;
  for (int i = 0; i < 10000 && taken; ++i) taken = stream->Write(event);
  EXPECT_FALSE(taken);
  EXPECT_TRUE(gone.Wait());
}

TEST_F(ServerTest, ShutdownLetsAnswersFinish) {
  Event received;
  std::shared_ptr<Exchange> kept;
  Keep("/wait", kept, received);
  Start();
  RawClient idle(server_->port());
  RawClient busy(server_->port());
  busy.Send("GET /wait HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(received.Wait());
  std::thread shutdown([&] { server_->Shutdown(absl::Seconds(10)); });
  EXPECT_EQ(idle.ReadAll(), "");
  kept->Respond({.content_type = "text/plain", .body = "late"});
  EXPECT_THAT(busy.ReadAll(), EndsWith("late"));
  shutdown.join();
}

TEST_F(ServerTest, ShutdownDropsWhatOutstaysTheGrace) {
  Event received, gone;
  std::shared_ptr<Exchange> kept;
  Keep("/wait", kept, received,
       [&](Exchange& exchange) { exchange.OnDisconnect([&] { gone.Notify(); }); });
  Start();
  RawClient client(server_->port());
  client.Send("GET /wait HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(received.Wait());
  server_->Shutdown(absl::Milliseconds(1));
  EXPECT_TRUE(gone.Wait());
  server_ = nullptr;
  kept->Respond({});  // harmless: nobody is there any more
}

TEST_F(ServerTest, ReportsFinishedExchanges) {
  Event finished;
  std::string seen;
  ServerOptions options;
  options.on_finished = [&](const Request& request, int status, absl::Duration) {
    seen = absl::StrCat(request.method, " ", request.path, " ", status);
    finished.Notify();
  };
  Start(std::move(options));
  RawClient client(server_->port());
  client.Send(kHello);
  ASSERT_TRUE(finished.Wait());
  EXPECT_EQ(seen, "GET /hello 200");
}

TEST_F(ServerTest, ReportsWhatItRefusedItself) {
  const struct {
    const char* request;
    const char* seen;
  } cases[] = {
      {"POST /hello HTTP/1.1\r\ncontent-length: 2000\r\n\r\n", "POST /hello 413"},
      {"POST /hello HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "POST /hello 400"},
      {"GET /%zz HTTP/1.1\r\n\r\n", "  400"},
      {"no HTTP\r\n\r\n", "  400"},
  };
  base::Mutex mutex;
  std::vector<std::string> seen;
  ServerOptions options;
  options.max_body_bytes = 1000;
  options.on_finished = [&](const Request& request, int status, absl::Duration) {
    base::MutexLock lock(mutex);
    seen.push_back(absl::StrCat(request.method, " ", request.path, " ", status));
  };
  Start(std::move(options));
  for (const auto& c : cases) {
    RawClient client(server_->port());
    client.Send(c.request);
    client.ReadUntil("}}");
    base::MutexLock lock(mutex);
    EXPECT_THAT(seen, testing::ElementsAre(c.seen)) << c.request;
    seen.clear();
  }
  server_ = nullptr;  // it uses what is declared here
}

TEST(ServerStartTest, RefusesToLeaveLoopbackUnasked) {
  EXPECT_EQ(Server::Start({.address = "0.0.0.0"}, {}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(Server::Start({.address = "0.0.0.0", .allow_insecure = true}, {}).ok());
  EXPECT_TRUE(Server::Start({.address = "localhost"}, {}).ok());
  EXPECT_EQ(Server::Start({.address = "example.org"}, {}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(ServerStartTest, SaysWhichAddressIsTaken) {
  const auto first = Server::Start({}, {});
  ASSERT_TRUE(first.ok());
  const auto second = Server::Start({.port = (*first)->port()}, {});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr(absl::StrCat("127.0.0.1:", (*first)->port())));
}

TEST_F(ServerTest, AClientThatHasItsAnswerMayLeaveAtOnce) {
  constexpr int kClients = 2000;
  std::atomic<int> answered = 0, finished = 0;
  Event all;
  ServerOptions options;
  options.on_finished = [&](const Request&, int status, absl::Duration) {
    answered += status == 200;
    if (++finished == kClients) all.Notify();
  };
  Start(std::move(options));
  for (int i = 0; i < kClients; ++i) {
    RawClient client(server_->port());
    client.Send(kHello);
    client.ReadUntil("hello");
  }
  EXPECT_TRUE(all.Wait());
  EXPECT_EQ(answered.load(), kClients);
}

}  // namespace
}  // namespace moesaic::http
