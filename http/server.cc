#include "http/server.h"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "http/connection.h"

namespace moesaic::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// Out of file descriptors: wait for some to be given back rather than spin.
constexpr auto kAcceptBackoff = std::chrono::milliseconds(100);
// What a process has open beside its HTTP connections: files, gRPC, its libraries.
constexpr rlim_t kOtherDescriptors = 256;

absl::Status CheckOptions(const ServerOptions& options) {
  if (options.io_threads < 1) return absl::InvalidArgumentError("io_threads must be at least 1");
  if (options.max_connections < 1) {
    return absl::InvalidArgumentError("max_connections must be at least 1");
  }
  if (options.max_header_bytes < 1 || options.max_header_bytes > (1 << 30)) {
    return absl::InvalidArgumentError("max_header_bytes must be between 1 and 2^30");
  }
  return absl::OkStatus();
}

/// As many connections as asked for, or as file descriptors are left for: what cannot be accepted
/// cannot be answered with a 503 either.
int AffordableConnections(int wanted) {
  rlimit descriptors{};
  if (getrlimit(RLIMIT_NOFILE, &descriptors) != 0) return wanted;
  const rlim_t left = std::max(descriptors.rlim_cur, kOtherDescriptors + 1) - kOtherDescriptors;
  if (left >= static_cast<rlim_t>(wanted)) return wanted;
  base::LogWarning("the limit of file descriptors, ", descriptors.rlim_cur, ", leaves room for ",
                   left, " HTTP connections, not ", wanted);
  return static_cast<int>(left);
}

absl::StatusOr<tcp::endpoint> ParseEndpoint(const ServerOptions& options) {
  error_code error;
  const std::string& name = options.address;
  const auto address = asio::ip::make_address(name == "localhost" ? "127.0.0.1" : name, error);
  if (error) {
    return absl::InvalidArgumentError(absl::StrCat("'", name, "' is not an IP address"));
  }
  if (!address.is_loopback() && !options.allow_insecure) {
    return absl::InvalidArgumentError(
        absl::StrCat("refusing to serve plain HTTP on ", name,
                     ", which is beyond loopback, without --insecure"));
  }
  return tcp::endpoint(address, options.port);
}

class ServerImpl final : public Server {
 public:
  ServerImpl(ServerOptions options, RouteTable routes)
      : options_(std::move(options)),
        routes_(std::move(routes)),
        host_{options_, routes_, bodies_bytes_, [this] { return draining_.load(); },
              [this](Connection* connection) { Remove(connection); }},
        acceptor_(asio::make_strand(io_)),
        accept_retry_(acceptor_.get_executor()),
        work_(asio::make_work_guard(io_)) {}

  ~ServerImpl() override { Shutdown(absl::ZeroDuration()); }

  absl::Status Listen(const tcp::endpoint& endpoint) {
    error_code error;
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (!error) port_ = acceptor_.local_endpoint(error).port();
    if (error) {
      return absl::UnavailableError(absl::StrCat("cannot listen on ", options_.address, ":",
                                                 options_.port, ": ", error.message()));
    }
    Accept();
    for (int i = 0; i < options_.io_threads; ++i) {
      threads_.emplace_back([this] { io_.run(); });
    }
    return absl::OkStatus();
  }

  std::uint16_t port() const override { return port_; }

  void Shutdown(absl::Duration grace) override {
    base::MutexLock shutdown_lock(shutdown_mutex_);
    if (threads_.empty()) return;
    draining_ = true;
    asio::post(acceptor_.get_executor(), [this] {
      error_code ignored;
      acceptor_.close(ignored);
      accept_retry_.cancel();
    });
    for (const auto& connection : Connections()) connection->Drain();
    AwaitNoConnections(grace);
    for (const auto& connection : Connections()) connection->Drop();
    work_.reset();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  void Accept() {
    acceptor_.async_accept(asio::make_strand(io_), [this](error_code error, tcp::socket socket) {
      if (draining_) return;
      if (error) {
        base::LogWarning("accepting an HTTP connection failed: ", error.message());
        accept_retry_.expires_after(kAcceptBackoff);
        accept_retry_.async_wait([this](error_code cancelled) {
          if (!cancelled) Accept();
        });
        return;
      }
      Add(std::move(socket));
      Accept();
    });
  }

  void Add(tcp::socket socket) {
    auto connection = std::make_shared<Connection>(std::move(socket), host_);
    bool overloaded;
    {
      base::MutexLock lock(mutex_);
      connections_.emplace(connection.get(), connection);
      overloaded = connections_.size() > static_cast<std::size_t>(options_.max_connections);
    }
    overloaded ? connection->Refuse() : connection->Start();
  }

  void Remove(Connection* connection) {
    std::shared_ptr<Connection> last_owner;
    base::MutexLock lock(mutex_);
    auto it = connections_.find(connection);
    if (it == connections_.end()) return;
    last_owner = std::move(it->second);
    connections_.erase(it);
    if (connections_.empty()) no_connections_.NotifyAll();
  }

  std::vector<std::shared_ptr<Connection>> Connections() {
    base::MutexLock lock(mutex_);
    std::vector<std::shared_ptr<Connection>> all;
    for (const auto& [_, connection] : connections_) all.push_back(connection);
    return all;
  }

  void AwaitNoConnections(absl::Duration timeout) {
    const absl::Duration until = base::Clock::Real().Monotonic() + timeout;
    base::MutexLock lock(mutex_);
    while (!connections_.empty()) {
      const absl::Duration left = until - base::Clock::Real().Monotonic();
      if (left <= absl::ZeroDuration()) return;
      no_connections_.WaitFor(mutex_, left);
    }
  }

  // Constant after Listen.
  const ServerOptions options_;
  const RouteTable routes_;
  const Connection::Host host_;
  std::uint16_t port_ = 0;

  // Self-synchronised.
  std::atomic<bool> draining_{false};
  std::atomic<std::size_t> bodies_bytes_{0};
  asio::io_context io_;
  tcp::acceptor acceptor_;           // its strand
  asio::steady_timer accept_retry_;  // the acceptor's strand
  asio::executor_work_guard<asio::io_context::executor_type> work_;

  base::Mutex shutdown_mutex_;  // taken before mutex_
  std::vector<std::thread> threads_;

  base::Mutex mutex_;
  base::CondVar no_connections_;
  absl::flat_hash_map<Connection*, std::shared_ptr<Connection>> connections_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(ServerOptions options, RouteTable routes) {
  MOESAIC_RETURN_IF_ERROR(CheckOptions(options));
  options.max_connections = AffordableConnections(options.max_connections);
  MOESAIC_ASSIGN_OR_RETURN(const tcp::endpoint endpoint, ParseEndpoint(options));
  auto server = std::make_unique<ServerImpl>(std::move(options), std::move(routes));
  MOESAIC_RETURN_IF_ERROR(server->Listen(endpoint));
  return server;
}

}  // namespace moesaic::http
