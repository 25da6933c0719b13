#include "http/socket.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <string>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status_macros.h"

namespace moesaic::http {
namespace {

absl::Status Broken(absl::string_view doing) {
  return absl::UnavailableError(absl::StrCat(doing, " failed: ", std::strerror(errno)));
}

absl::StatusOr<Socket> ConnectOne(const addrinfo& address, absl::Duration timeout,
                                  int interrupt_fd) {
  Socket connection(
      socket(address.ai_family, address.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
      interrupt_fd);
  if (connection.fd() < 0) return absl::UnavailableError(std::strerror(errno));
  if (connect(connection.fd(), address.ai_addr, address.ai_addrlen) != 0) {
    if (errno != EINPROGRESS) return absl::UnavailableError(std::strerror(errno));
    MOESAIC_RETURN_IF_ERROR(connection.Await(POLLOUT, timeout));
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(connection.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return absl::UnavailableError(std::strerror(error));
  }
  return connection;
}

}  // namespace

Socket::~Socket() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<Socket> Socket::Connect(const Url& url, absl::Duration timeout, int interrupt_fd) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(url.host.c_str(), url.port.c_str(), &hints, &found);
      error != 0) {
    return absl::UnavailableError(absl::StrCat(url.host, ": ", gai_strerror(error)));
  }
  const absl::Cleanup free_found = [found] { freeaddrinfo(found); };
  absl::Status last = absl::UnavailableError("no address");
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    absl::StatusOr<Socket> connection = ConnectOne(*address, timeout, interrupt_fd);
    if (connection.ok()) return connection;
    last = connection.status();
  }
  return absl::Status(last.code(), absl::StrCat("cannot connect to ", url.host, ":", url.port, ": ",
                                                last.message()));
}

absl::Status Socket::WriteAll(std::string_view bytes, absl::Duration timeout) const {
  while (!bytes.empty()) {
    const ssize_t n = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      MOESAIC_RETURN_IF_ERROR(Await(POLLOUT, timeout));
    } else if (errno != EINTR) {
      return Broken("sending");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::size_t> Socket::Read(char* data, std::size_t size,
                                         absl::Duration timeout) const {
  for (;;) {
    // Waits first, so that an answer without a pause can be interrupted too.
    MOESAIC_RETURN_IF_ERROR(Await(POLLIN, timeout));
    const ssize_t n = recv(fd_, data, size, 0);
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno != EAGAIN && errno != EINTR) return Broken("receiving");
  }
}

absl::Status Socket::Await(short events, absl::Duration timeout) const {
  const absl::Duration until = base::Clock::Real().Monotonic() + timeout;
  for (;;) {
    const absl::Duration left =
        std::max(until - base::Clock::Real().Monotonic(), absl::ZeroDuration());
    pollfd waited[] = {{fd_, events, 0}, {interrupt_fd_, POLLIN, 0}};
    const int timeout_ms =
        static_cast<int>(std::min<std::int64_t>(absl::ToInt64Milliseconds(left) + 1, 1 << 30));
    const int ready = poll(waited, std::size(waited), timeout_ms);
    if (ready > 0 && waited[1].revents != 0) return absl::CancelledError("interrupted");
    if (ready > 0) return absl::OkStatus();
    if (ready == 0) return absl::DeadlineExceededError("the server did not answer in time");
    if (errno != EINTR) return Broken("waiting");
  }
}

}  // namespace moesaic::http
