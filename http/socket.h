#pragma once

#include <cstddef>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "http/url.h"

namespace moesaic::http {

/// A connected, non-blocking TCP socket with time limits, whose waiting can be interrupted. Closed
/// on destruction. Single-thread.
class Socket {
 public:
  /// Takes `fd` over. Waiting ends, Cancelled, when `interrupt_fd` becomes readable; -1 = never.
  Socket(int fd, int interrupt_fd) : fd_(fd), interrupt_fd_(interrupt_fd) {}
  ~Socket();
  Socket(Socket&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), interrupt_fd_(other.interrupt_fd_) {}
  Socket& operator=(Socket&&) = delete;

  /// Connects to the first address of the host that answers. Errors: Unavailable,
  /// DeadlineExceeded, Cancelled; they name host and port.
  static absl::StatusOr<Socket> Connect(const Url& url, absl::Duration timeout, int interrupt_fd);

  int fd() const { return fd_; }
  absl::Status WriteAll(std::string_view bytes, absl::Duration timeout) const;
  /// 0 bytes at the end of the stream.
  absl::StatusOr<std::size_t> Read(char* data, std::size_t size, absl::Duration timeout) const;
  /// Waits for `events` of poll(2).
  absl::Status Await(short events, absl::Duration timeout) const;

 private:
  int fd_;
  int interrupt_fd_;
};

}  // namespace moesaic::http
