#include "http/concurrent_client.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "http/request_text.h"
#include "http/response_parser.h"
#include "http/socket.h"

namespace moesaic::http {
namespace {

constexpr std::size_t kReadBytes = 64 << 10;
constexpr int kEventsAtOnce = 256;
// Ids of calls begin behind these.
constexpr std::uint64_t kInterrupt = ~std::uint64_t{0};
constexpr std::uint64_t kTimer = kInterrupt - 1;

absl::Status CannotConnect(int error) {
  return absl::UnavailableError(absl::StrCat("cannot connect: ", std::strerror(error)));
}

absl::Status BrokeOff(int error) {
  return absl::AbortedError(absl::StrCat("the connection broke off: ", std::strerror(error)));
}

}  // namespace

struct ConcurrentClient::Call {
  Call(std::string text, std::size_t max_response_bytes)
      : request(std::move(text)), parser(ResponseParser::Body::kEvents, max_response_bytes) {}
  ~Call() {
    if (fd >= 0) close(fd);
  }

  int fd = -1;
  bool connected = false;
  std::string request;
  std::size_t sent = 0;
  ResponseParser parser;
};

absl::StatusOr<std::unique_ptr<ConcurrentClient>> ConcurrentClient::Create(
    std::string_view url, const Options& options, const base::Clock& clock) {
  MOESAIC_ASSIGN_OR_RETURN(Url parsed, ParseUrl(url));
  MOESAIC_ASSIGN_OR_RETURN(const Socket socket,
                           Socket::Connect(parsed, options.connect_timeout, options.interrupt_fd));
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  if (getpeername(socket.fd(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return CannotConnect(errno);
  }
  auto client =
      std::unique_ptr<ConcurrentClient>(new ConcurrentClient(std::move(parsed), options, clock));
  MOESAIC_RETURN_IF_ERROR(client->Open(address, size));
  return client;
}

ConcurrentClient::ConcurrentClient(Url url, const Options& options, const base::Clock& clock)
    : url_(std::move(url)), options_(options), clock_(clock), buffer_(kReadBytes) {}

ConcurrentClient::~ConcurrentClient() {
  if (epoll_fd_ >= 0) close(epoll_fd_);
  if (timer_fd_ >= 0) close(timer_fd_);
}

absl::Status ConcurrentClient::Open(const sockaddr_storage& address, socklen_t size) {
  address_ = address;
  address_size_ = size;
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  timer_fd_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  epoll_event timer = {.events = EPOLLIN, .data = {.u64 = kTimer}};
  epoll_event interrupt = {.events = EPOLLIN, .data = {.u64 = kInterrupt}};
  if (epoll_fd_ < 0 || timer_fd_ < 0 ||
      epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, timer_fd_, &timer) != 0 ||
      (options_.interrupt_fd >= 0 &&
       epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, options_.interrupt_fd, &interrupt) != 0)) {
    return absl::ResourceExhaustedError(absl::StrCat("epoll: ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

ConcurrentClient::CallId ConcurrentClient::Post(std::string_view path, std::string_view body,
                                                const std::vector<Header>& headers) {
  const CallId id = next_id_++;
  auto call = std::make_unique<Call>(FormatRequest(url_, {"POST", path, body, headers}),
                                     options_.max_response_bytes);
  const absl::Duration now = clock_.Monotonic();
  if (absl::Status begun = Connect(id, *call); !begun.ok()) failed_.emplace_back(id, begun);
  connect_deadlines_.emplace(id, now + options_.connect_timeout);
  deadlines_.emplace(id, now + options_.call_timeout);
  calls_.emplace(id, std::move(call));
  return id;
}

absl::Status ConcurrentClient::Connect(CallId id, Call& call) {
  call.fd = socket(address_.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (call.fd < 0) return CannotConnect(errno);
  const int on = 1;
  setsockopt(call.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (connect(call.fd, reinterpret_cast<const sockaddr*>(&address_), address_size_) != 0 &&
      errno != EINPROGRESS) {
    return CannotConnect(errno);
  }
  epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data = {.u64 = id}};
  return epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, call.fd, &event) == 0 ? absl::OkStatus()
                                                                   : CannotConnect(errno);
}

bool ConcurrentClient::Poll(absl::Duration until, Observer& observer) {
  if (!failed_.empty()) {
    for (auto& [id, status] : std::exchange(failed_, {})) End(id, std::move(status), observer);
    return true;
  }
  for (const auto* deadlines : {&connect_deadlines_, &deadlines_}) {
    if (!deadlines->empty()) until = std::min(until, deadlines->begin()->second);
  }
  SetTimer(until);
  std::array<epoll_event, kEventsAtOnce> events;
  const int ready = epoll_wait(epoll_fd_, events.data(), kEventsAtOnce, -1);
  for (int i = 0; i < ready; ++i) {
    const std::uint64_t id = events[i].data.u64;
    if (id == kInterrupt) return false;
    if (id == kTimer) {
      std::uint64_t expirations;
      // Only to make it unreadable: what is due is seen below.
      [[maybe_unused]] const ssize_t n = read(timer_fd_, &expirations, sizeof(expirations));
      continue;
    }
    OnReady(id, events[i].events, observer);
  }
  EndExpired(observer);
  return true;
}

void ConcurrentClient::SetTimer(absl::Duration until) {
  // Zero would disarm it.
  const absl::Duration left =
      std::clamp(until - clock_.Monotonic(), absl::Nanoseconds(1), absl::Hours(24));
  const itimerspec at = {.it_interval = {}, .it_value = absl::ToTimespec(left)};
  timerfd_settime(timer_fd_, 0, &at, nullptr);
}

void ConcurrentClient::OnReady(CallId id, std::uint32_t events, Observer& observer) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  Call& call = *found->second;
  absl::Status status;
  if (!call.connected) {
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(call.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return End(id, CannotConnect(error), observer);
    call.connected = true;
    connect_deadlines_.erase(id);
  }
  if (events & EPOLLOUT) status = Send(id, call);
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
    // A server may refuse and stop reading: its answer says more than our broken pipe.
    absl::Status received = Receive(id, call, observer);
    if (!received.ok() && status.ok()) status = std::move(received);
    if (call.parser.done()) status = absl::OkStatus();
  }
  if (call.parser.done() || !status.ok()) End(id, std::move(status), observer);
}

absl::Status ConcurrentClient::Send(CallId id, Call& call) {
  while (call.sent < call.request.size()) {
    const ssize_t n = send(call.fd, call.request.data() + call.sent,
                           call.request.size() - call.sent, MSG_NOSIGNAL);
    if (n >= 0) {
      call.sent += static_cast<std::size_t>(n);
    } else if (errno == EAGAIN) {
      return absl::OkStatus();
    } else if (errno != EINTR) {
      return BrokeOff(errno);
    }
  }
  call.request = std::string();
  call.sent = 0;
  epoll_event event = {.events = EPOLLIN, .data = {.u64 = id}};
  epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, call.fd, &event);
  return absl::OkStatus();
}

absl::Status ConcurrentClient::Receive(CallId id, Call& call, Observer& observer) {
  const ssize_t n = recv(call.fd, buffer_.data(), buffer_.size(), 0);
  if (n < 0) return errno == EAGAIN || errno == EINTR ? absl::OkStatus() : BrokeOff(errno);
  const absl::Duration at = clock_.Monotonic();
  if (n == 0) {
    const absl::Status ended = call.parser.FeedEnd();
    return absl::IsUnavailable(ended) ? absl::AbortedError(ended.message()) : ended;
  }
  return call.parser.Feed({buffer_.data(), static_cast<std::size_t>(n)},
                          [&](std::string_view data) { return observer.OnEvent(id, data, at); });
}

void ConcurrentClient::EndExpired(Observer& observer) {
  const absl::Duration now = clock_.Monotonic();
  while (!connect_deadlines_.empty() && connect_deadlines_.begin()->second <= now) {
    End(connect_deadlines_.begin()->first, CannotConnect(ETIMEDOUT), observer);
  }
  while (!deadlines_.empty() && deadlines_.begin()->second <= now) {
    End(deadlines_.begin()->first, absl::DeadlineExceededError("the server did not answer in time"),
        observer);
  }
}

void ConcurrentClient::End(CallId id, absl::Status status, Observer& observer) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  const std::unique_ptr<Call> call = std::move(found->second);
  calls_.erase(found);
  connect_deadlines_.erase(id);
  deadlines_.erase(id);
  const absl::Duration at = clock_.Monotonic();
  if (status.ok()) {
    observer.OnDone(id, call->parser.Take(), at);
  } else {
    observer.OnDone(id, std::move(status), at);
  }
}

void ConcurrentClient::CancelAll() {
  calls_.clear();
  connect_deadlines_.clear();
  deadlines_.clear();
  failed_.clear();
}

}  // namespace moesaic::http
