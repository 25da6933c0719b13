#include "http/client.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "http/sse.h"

namespace moesaic::http {
namespace {

namespace asio = boost::asio;
namespace bhttp = boost::beast::http;
using boost::system::error_code;
using Parser = bhttp::response_parser<bhttp::string_body>;
using OnData = absl::FunctionRef<bool(std::string_view)>;

/// A connected, non-blocking TCP socket with time limits, whose waiting can be interrupted. Closed
/// on destruction.
class Socket {
 public:
  /// `interrupt_fd`: see ClientOptions.
  Socket(int fd, int interrupt_fd) : fd_(fd), interrupt_fd_(interrupt_fd) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  Socket(Socket&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), interrupt_fd_(other.interrupt_fd_) {}
  Socket& operator=(Socket&&) = delete;

  int fd() const { return fd_; }

  absl::Status WriteAll(std::string_view bytes, absl::Duration timeout) const {
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

  /// 0 bytes at the end of the stream.
  absl::StatusOr<std::size_t> Read(char* data, std::size_t size, absl::Duration timeout) const {
    for (;;) {
      // Waits first, so that an answer without a pause can be interrupted too.
      MOESAIC_RETURN_IF_ERROR(Await(POLLIN, timeout));
      const ssize_t n = recv(fd_, data, size, 0);
      if (n >= 0) return static_cast<std::size_t>(n);
      if (errno != EAGAIN && errno != EINTR) return Broken("receiving");
    }
  }

  absl::Status Await(short events, absl::Duration timeout) const {
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

 private:
  static absl::Status Broken(absl::string_view doing) {
    return absl::UnavailableError(absl::StrCat(doing, " failed: ", std::strerror(errno)));
  }

  int fd_;
  int interrupt_fd_;
};

absl::StatusOr<Socket> ConnectOne(const addrinfo& address, const ClientOptions& options) {
  Socket connection(
      socket(address.ai_family, address.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
      options.interrupt_fd);
  if (connection.fd() < 0) return absl::UnavailableError(std::strerror(errno));
  if (connect(connection.fd(), address.ai_addr, address.ai_addrlen) != 0) {
    if (errno != EINPROGRESS) return absl::UnavailableError(std::strerror(errno));
    MOESAIC_RETURN_IF_ERROR(connection.Await(POLLOUT, options.connect_timeout));
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(connection.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return absl::UnavailableError(std::strerror(error));
  }
  return connection;
}

absl::StatusOr<Socket> Connect(const std::string& host, const std::string& port,
                               const ClientOptions& options) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0) {
    return absl::UnavailableError(absl::StrCat(host, ": ", gai_strerror(error)));
  }
  const absl::Cleanup free_found = [found] { freeaddrinfo(found); };
  absl::Status last = absl::UnavailableError("no address");
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    absl::StatusOr<Socket> connection = ConnectOne(*address, options);
    if (connection.ok()) return connection;
    last = connection.status();
  }
  return absl::Status(last.code(),
                      absl::StrCat("cannot connect to ", host, ":", port, ": ", last.message()));
}

/// Reads one response from a socket; its body goes whole into the response, or event by event to
/// `on_data`.
class ResponseReader {
 public:
  ResponseReader(const Socket& socket, const ClientOptions& options, const OnData* on_data)
      : socket_(socket), options_(options), on_data_(on_data) {
    parser_.eager(true);
    parser_.header_limit(64 << 10);
    // The total of an event stream is unbounded, its pieces are not: they are taken out at once.
    if (on_data_ != nullptr) {
      parser_.body_limit(boost::none);
    } else {
      parser_.body_limit(options.max_response_bytes);
    }
  }

  absl::StatusOr<Response> Read() {
    std::string chunk(64 << 10, '\0');
    while (!parser_.is_done() && !stopped_) {
      MOESAIC_ASSIGN_OR_RETURN(const std::size_t n,
                               socket_.Read(chunk.data(), chunk.size(), options_.read_timeout));
      MOESAIC_RETURN_IF_ERROR(n == 0 ? TakeEnd() : Take(std::string_view(chunk).substr(0, n)));
    }
    return Result();
  }

 private:
  absl::Status Take(std::string_view bytes) {
    pending_.append(bytes);
    while (!pending_.empty() && !parser_.is_done() && !stopped_) {
      error_code error;
      const std::size_t used = parser_.put(asio::buffer(pending_), error);
      pending_.erase(0, used);
      if (error && error != bhttp::error::need_more) return Malformed(error);
      MOESAIC_RETURN_IF_ERROR(DeliverEvents());
      if (error || used == 0) break;
    }
    return absl::OkStatus();
  }

  absl::Status TakeEnd() {
    // put_eof requires a begun answer.
    if (!parser_.got_some()) return absl::UnavailableError("the server closed the connection");
    error_code error;
    parser_.put_eof(error);
    if (error) return Malformed(error);
    if (!parser_.is_done()) return absl::UnavailableError("the server closed the connection");
    return absl::OkStatus();
  }

  absl::Status Malformed(const error_code& error) const {
    if (error == bhttp::error::body_limit) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the answer is longer than ", options_.max_response_bytes, " bytes"));
    }
    if (error == bhttp::error::partial_message || error == bhttp::error::end_of_stream) {
      return absl::UnavailableError("the server closed the connection before the answer's end");
    }
    return absl::UnavailableError(absl::StrCat("not an HTTP answer: ", error.message()));
  }

  absl::Status DeliverEvents() {
    if (on_data_ == nullptr || !parser_.is_header_done()) return absl::OkStatus();
    std::string& body = parser_.get().body();
    const auto type = parser_.get()[bhttp::field::content_type];
    if (!absl::StartsWith(absl::string_view(type.data(), type.size()), "text/event-stream")) {
      if (body.size() <= options_.max_response_bytes) return absl::OkStatus();
      return Malformed(make_error_code(bhttp::error::body_limit));
    }
    absl::Status fed = events_.Feed(body, [this](std::string_view data) {
      if (!stopped_ && !(*on_data_)(data)) stopped_ = true;
    });
    body.clear();
    return fed;
  }

  Response Result() {
    Response response;
    auto message = parser_.release();
    response.status = static_cast<int>(message.result_int());
    for (const auto& field : message) {
      response.headers.push_back({std::string(field.name_string()), std::string(field.value())});
    }
    response.content_type = std::string(message[bhttp::field::content_type]);
    response.body = std::move(message.body());
    return response;
  }

  const Socket& socket_;
  const ClientOptions& options_;
  const OnData* on_data_;
  Parser parser_;
  SseParser events_;
  std::string pending_;
  bool stopped_ = false;
};

/// One exchange on a connection of its own.
struct Call {
  const std::string& host;
  const std::string& port;
  const ClientOptions& options;

  absl::StatusOr<Response> Run(absl::string_view method, const std::string& target,
                               std::string_view body, const std::vector<Header>& headers,
                               const OnData* on_data) const {
    MOESAIC_ASSIGN_OR_RETURN(const Socket socket, Connect(host, port, options));
    std::string request =
        absl::StrCat(method, " ", target, " HTTP/1.1\r\nhost: ", host, ":", port,
                     "\r\nconnection: close\r\ncontent-length: ", body.size(), "\r\n");
    if (!body.empty()) request += "content-type: application/json\r\n";
    for (const Header& header : headers) {
      absl::StrAppend(&request, header.name, ": ", header.value, "\r\n");
    }
    request += "\r\n";
    request += body;
    const absl::Status sent = socket.WriteAll(request, options.read_timeout);
    // A server may refuse and stop reading a body: its answer says more than our broken pipe.
    absl::StatusOr<Response> response = ResponseReader(socket, options, on_data).Read();
    return !response.ok() && !sent.ok() ? sent : std::move(response);
  }
};

}  // namespace

absl::StatusOr<Client> Client::Create(std::string_view url, ClientOptions options) {
  constexpr std::string_view kScheme = "http://";
  const absl::Status malformed = absl::InvalidArgumentError(
      absl::StrCat("'", base::ToAbsl(url), "' is not a URL of the form http://host[:port][/path]"));
  if (url.substr(0, kScheme.size()) != kScheme) return malformed;
  std::string_view rest = url.substr(kScheme.size());
  const std::size_t slash = rest.find('/');
  std::string_view authority = rest.substr(0, slash);
  std::string prefix = slash == std::string_view::npos ? "" : std::string(rest.substr(slash));
  while (!prefix.empty() && prefix.back() == '/') prefix.pop_back();

  std::string_view port = "80";
  const std::size_t colon = authority.rfind(':');
  if (colon != std::string_view::npos && authority.back() != ']') {
    port = authority.substr(colon + 1);
    authority = authority.substr(0, colon);
  }
  if (authority.size() > 2 && authority.front() == '[' && authority.back() == ']') {
    authority = authority.substr(1, authority.size() - 2);
  }
  int port_number = 0;
  if (authority.empty() || !absl::SimpleAtoi(base::ToAbsl(port), &port_number) || port_number < 1 ||
      port_number > 65535) {
    return malformed;
  }
  return Client(std::string(authority), std::string(port), std::move(prefix), options);
}

Client::Client(std::string host, std::string port, std::string prefix, ClientOptions options)
    : host_(std::move(host)),
      port_(std::move(port)),
      prefix_(std::move(prefix)),
      options_(options) {}

absl::StatusOr<Response> Client::Get(std::string_view path, std::vector<Header> headers) const {
  return Call{host_, port_, options_}.Run("GET", prefix_ + std::string(path), "", headers, nullptr);
}

absl::StatusOr<Response> Client::Post(std::string_view path, std::string body,
                                      std::vector<Header> headers) const {
  return Call{host_, port_, options_}.Run("POST", prefix_ + std::string(path), body, headers,
                                          nullptr);
}

absl::StatusOr<Response> Client::Put(std::string_view path, std::string body) const {
  return Call{host_, port_, options_}.Run("PUT", prefix_ + std::string(path), body, {}, nullptr);
}

absl::StatusOr<Response> Client::PostStreaming(std::string_view path, std::string body,
                                               OnData on_data, std::vector<Header> headers) const {
  return Call{host_, port_, options_}.Run("POST", prefix_ + std::string(path), body, headers,
                                          &on_data);
}

}  // namespace moesaic::http
