#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "http/route_table.h"

namespace moesaic::http {

/// Where a server listens and what it grants its clients.
struct ServerOptions {
  std::string address = "127.0.0.1";  ///< An IP address; "localhost" is taken too.
  std::uint16_t port = 0;             ///< 0 = any free one.
  /// Binding beyond loopback is refused without it: this server speaks no TLS.
  bool allow_insecure = false;
  int io_threads = 2;
  std::size_t max_header_bytes = 64 << 10;
  std::size_t max_body_bytes = 16 << 20;  ///< Beyond: 413, without reading it whole.
  /// Bytes of the bodies of all requests being read or answered. Beyond: 503.
  std::size_t max_bodies_bytes = std::size_t{1} << 30;
  int max_connections = 16384;  ///< Beyond: 503 and close.
  /// Unsent bytes of one event stream; a client that lets it fill is disconnected.
  std::size_t max_stream_buffer_bytes = 1 << 20;
  /// Silence in an event stream after which a ": keep-alive" comment is sent, so that nobody on the
  /// way takes it for dead; well below the minute after which common proxies do.
  absl::Duration stream_keep_alive = absl::Seconds(15);
  absl::Duration header_timeout = absl::Seconds(10);  ///< From a request's first byte.
  absl::Duration body_timeout = absl::Seconds(60);
  absl::Duration idle_timeout = absl::Seconds(75);  ///< Between requests of a connection.
  /// Without any progress of a write; the kernel gives up a peer that has vanished as soon.
  absl::Duration write_timeout = absl::Seconds(60);
  /// Sees every finished exchange (method, path, status), also one that the server refused itself:
  /// its path is empty when it was not read. Called on io threads, must not block.
  std::function<void(const Request&, int status, absl::Duration elapsed)> on_finished = {};
};

/// An HTTP/1.1 server with keep-alive and event streams on a few io threads. Answers 404, 405, 408,
/// 413, 431 and malformed requests itself, as OpenAI error objects. Owns its threads and
/// connections. Thread-safe.
class Server {
 public:
  /// Binds and starts serving. Errors: InvalidArgument for an address that is none, or beyond
  /// loopback without allow_insecure; Unavailable when binding fails, naming the address.
  static absl::StatusOr<std::unique_ptr<Server>> Start(ServerOptions options, RouteTable routes);

  virtual ~Server() = default;
  /// The port actually bound.
  virtual std::uint16_t port() const = 0;
  /// Stops accepting, lets exchanges in progress finish for at most `grace`, then drops them (their
  /// OnDisconnect runs) and joins the threads. Idempotent. Not from an io thread.
  virtual void Shutdown(absl::Duration grace) = 0;
};

}  // namespace moesaic::http
