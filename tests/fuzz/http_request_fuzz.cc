// What a client sends to our HTTP server, in pieces, over a connection of its own.
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <memory>
#include <string>

#include "base/check.h"
#include "http/connection.h"
#include "http/sse.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using namespace moesaic::http;
namespace asio = boost::asio;

constexpr std::size_t kMaxHeaderBytes = 160;
constexpr std::size_t kMaxBodyBytes = 64;

RouteTable Routes() {
  RouteTable routes;
  const Handler answer = [](std::shared_ptr<Exchange> exchange) {
    const Request& request = exchange->request();
    MOESAIC_CHECK(request.body.size() <= kMaxBodyBytes);
    std::size_t header_bytes = 0;
    for (const Header& header : request.headers) {
      header_bytes += header.name.size() + header.value.size();
    }
    MOESAIC_CHECK(header_bytes <= kMaxHeaderBytes);
    exchange->Respond({.body = request.path + request.query + request.body});
  };
  for (const char* method : {"GET", "POST", "HEAD"}) routes.Add(method, "/a/*", answer);
  routes.Add("POST", "/stream", [](std::shared_ptr<Exchange> exchange) {
    exchange->StartStream({{"x-a", "b"}});
    exchange->Write(SseData("one"));
    exchange->FinishStream();
  });
  routes.Add("GET", "/dropped", [](std::shared_ptr<Exchange>) {});
  return routes;
}

/// Takes what the server has sent: less than a socket holds, so that the server never waits for us.
void Drain(int fd) {
  char bytes[1 << 16];
  const ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
  if (n > 0) MOESAIC_CHECK(std::string_view(bytes, n).starts_with("HTTP/1.1 "));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto& routes = *new RouteTable(Routes());
  static const auto& options =
      *new ServerOptions{.max_header_bytes = kMaxHeaderBytes, .max_body_bytes = kMaxBodyBytes};
  moesaic::fuzz::FuzzInput input(data, size);
  // A first part, some pieces of one length from there on, the rest: a piece costs more than its
  // bytes.
  constexpr int kPieces = 16;
  const std::size_t first = input.Byte();
  const std::size_t step = 1 + input.Byte();

  int ends[2];
  MOESAIC_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  std::atomic<std::size_t> bodies_bytes{0};
  bool closed = false;
  const Connection::Host host{options, routes, bodies_bytes, [] { return false; },
                              [&](Connection*) { closed = true; }};
  {
    asio::io_context io;
    asio::ip::tcp::socket socket(asio::make_strand(io));
    socket.assign(asio::ip::tcp::v4(), ends[0]);
    std::make_shared<Connection>(std::move(socket), host)->Start();
    io.poll();
    for (int sent = 0; !input.empty() && !closed; ++sent) {
      const std::string_view part = sent == 0         ? input.Bytes(first)
                                    : sent <= kPieces ? input.Bytes(step)
                                                      : input.Rest();
      if (part.empty()) continue;
      if (send(ends[1], part.data(), part.size(), MSG_NOSIGNAL) < 0) break;
      io.restart();
      io.poll();
    }
    // The client leaves; whatever it has left behind ends.
    Drain(ends[1]);
    shutdown(ends[1], SHUT_WR);
    for (int i = 0; i < 64 && !closed; ++i) {
      io.restart();
      io.poll();
    }
    MOESAIC_CHECK(closed);
    MOESAIC_CHECK(bodies_bytes == 0);
  }
  close(ends[1]);
  return 0;
}
