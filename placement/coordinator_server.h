#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"

namespace moesaic::placement {

/// How a coordinator behaves. The defaults suit one machine as well as a cluster.
struct CoordinatorOptions {
  std::string listen_address = "127.0.0.1:0";
  std::uint32_t replicas = 1;       ///< Live copies wanted of each unit.
  std::uint32_t expect_shards = 0;  ///< Assign when so many have registered; 0 = after `settle`.
  /// Silence of the membership after which the first assignment is made even if fewer shards than
  /// expected came: long enough for processes started together, short beside loading weights.
  absl::Duration settle = absl::Seconds(1);
  /// Upper limit on the wait for `expect_shards`.
  absl::Duration expect_timeout = absl::Seconds(30);
  absl::Duration lease = absl::Seconds(10);     ///< A silent shard is gone after this.
  absl::Duration heartbeat = absl::Seconds(1);  ///< Shards report this often.
  /// How long a shard that broke off may take to come back before its units move elsewhere.
  absl::Duration rejoin = absl::Seconds(10);
  std::uint32_t parallel_loads = 16;  ///< Shards told to load or unload at the same time.
  bool insecure = false;              ///< Allow listening beyond loopback without TLS.
};

/// One coordinator process: serves Coordinator and health, keeps the membership, brings shards to
/// an even placement and publishes it. Everything it knows is rebuilt from what shards and routers
/// report. Owns all its threads. Thread-safe.
class CoordinatorServer {
 public:
  /// Errors: InvalidArgument for an option out of range; Unavailable when the address cannot be
  /// bound.
  static absl::StatusOr<std::unique_ptr<CoordinatorServer>> Build(
      CoordinatorOptions options, const base::Clock& clock = base::Clock::Real());
  ~CoordinatorServer();

  /// host:port bound (the port is known even if 0 was asked for).
  const std::string& address() const;
  /// Ends all streams and stops serving within `deadline`. Idempotent.
  void Shutdown(absl::Duration deadline);

 private:
  class Impl;
  explicit CoordinatorServer(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace moesaic::placement
