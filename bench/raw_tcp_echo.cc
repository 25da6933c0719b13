#include "bench/raw_tcp_echo.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>

#include "base/check.h"

namespace moesaic::bench {
namespace {

constexpr auto kIdleBeforeBlocking = std::chrono::milliseconds(3);

sockaddr_in Loopback(int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

void MakeQuick(int socket) {
  const int on = 1;
  MOESAIC_CHECK(setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
  MOESAIC_CHECK(fcntl(socket, F_SETFL, O_NONBLOCK) == 0);
}

/// What recv or send moved; 0 = nothing now, -1 = the other end has gone.
ssize_t Moved(ssize_t result, bool receiving) {
  if (result > 0) return result;
  if (result == 0) return receiving ? -1 : 0;
  return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

/// Receives all of `bytes`; false when the other end has gone.
bool ReceiveAll(int socket, char* data, std::size_t bytes, bool may_block) {
  auto last = std::chrono::steady_clock::now();
  for (std::size_t done = 0; done < bytes;) {
    const ssize_t n = Moved(recv(socket, data + done, bytes - done, 0), true);
    if (n < 0) return false;
    done += static_cast<std::size_t>(n);
    if (!may_block || n > 0 || done > 0) continue;
    if (std::chrono::steady_clock::now() - last > kIdleBeforeBlocking) {
      pollfd wait = {socket, POLLIN, 0};
      poll(&wait, 1, -1);
      last = std::chrono::steady_clock::now();
    }
  }
  return true;
}

bool SendAll(int socket, const char* data, std::size_t bytes) {
  for (std::size_t done = 0; done < bytes;) {
    const ssize_t n = Moved(send(socket, data + done, bytes - done, MSG_NOSIGNAL), false);
    if (n < 0) return false;
    done += static_cast<std::size_t>(n);
  }
  return true;
}

}  // namespace

int ListenOnLoopback(int* port) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t length = sizeof address;
  MOESAIC_CHECK(bind(listener, reinterpret_cast<sockaddr*>(&address), length) == 0);
  MOESAIC_CHECK(listen(listener, 4) == 0);
  MOESAIC_CHECK(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  *port = ntohs(address.sin_port);
  return listener;
}

int ConnectToLoopback(int port) {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(port);
  MOESAIC_CHECK(connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
                0);
  MakeQuick(connection);
  return connection;
}

void ServeRawEcho(int listener) {
  while (true) {
    const int connection = accept(listener, nullptr, nullptr);
    MOESAIC_CHECK(connection >= 0);
    MakeQuick(connection);
    std::uint64_t bytes = 0;
    if (ReceiveAll(connection, reinterpret_cast<char*>(&bytes), sizeof bytes, true)) {
      std::vector<char> buffer(bytes);
      while (ReceiveAll(connection, buffer.data(), bytes, true) &&
             SendAll(connection, buffer.data(), bytes)) {
      }
    }
    close(connection);
  }
}

RawEchoClient::RawEchoClient(int port, std::size_t bytes)
    : socket_(ConnectToLoopback(port)), bytes_(bytes), out_(bytes, 'x'), in_(bytes) {
  const std::uint64_t announced = bytes;
  MOESAIC_CHECK(SendAll(socket_, reinterpret_cast<const char*>(&announced), sizeof announced));
}

RawEchoClient::~RawEchoClient() { close(socket_); }

void RawEchoClient::RoundTrip() {
  MOESAIC_CHECK(SendAll(socket_, out_.data(), bytes_));
  MOESAIC_CHECK(ReceiveAll(socket_, in_.data(), bytes_, false));
}

void RawEchoClient::Pipeline(int count, int in_flight) {
  std::size_t to_send = bytes_ * std::min(in_flight, count);
  std::size_t unsent_total = bytes_ * count - to_send;
  std::size_t sent_of_message = 0;
  std::size_t received_of_message = 0;
  for (int received = 0; received < count;) {
    if (to_send > 0) {
      const std::size_t chunk = std::min(to_send, bytes_ - sent_of_message);
      const ssize_t n =
          Moved(send(socket_, out_.data() + sent_of_message, chunk, MSG_NOSIGNAL), false);
      MOESAIC_CHECK(n >= 0);
      to_send -= n;
      sent_of_message = (sent_of_message + n) % bytes_;
    }
    const ssize_t n = Moved(
        recv(socket_, in_.data() + received_of_message, bytes_ - received_of_message, 0), true);
    MOESAIC_CHECK(n >= 0);
    received_of_message += n;
    if (received_of_message < bytes_) continue;
    received_of_message = 0;
    ++received;
    const std::size_t next = std::min(unsent_total, bytes_);
    to_send += next;
    unsent_total -= next;
  }
}

}  // namespace moesaic::bench
