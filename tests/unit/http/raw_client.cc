#include "tests/unit/http/raw_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "base/check.h"

namespace moesaic::http {

RawClient::RawClient(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
  MOESAIC_CHECK(fd_ >= 0);
  const timeval timeout{10, 0};
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  MOESAIC_CHECK(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
}

RawClient::~RawClient() { Close(); }

bool RawClient::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::string RawClient::ReadUntil(std::string_view end) {
  char chunk[4096];
  for (;;) {
    const std::size_t at = end.empty() ? std::string::npos : received_.find(end);
    if (at != std::string::npos) {
      std::string result = received_.substr(0, at + end.size());
      received_.erase(0, result.size());
      return result;
    }
    const ssize_t n = recv(fd_, chunk, sizeof(chunk), 0);
    if (n <= 0) return std::exchange(received_, {});
    received_.append(chunk, static_cast<std::size_t>(n));
  }
}

std::string RawClient::ReadAll() { return ReadUntil(""); }

void RawClient::ShrinkReceiveBuffer() {
  const int bytes = 4096;
  setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

void RawClient::Close() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

}  // namespace moesaic::http
