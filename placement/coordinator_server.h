#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "monitoring/ledger/ledger.h"
#include "monitoring/node_share.h"
#include "placement/coordinator.h"

namespace moesaic::placement {

/// A coordinator process: its address, and how it behaves.
struct CoordinatorOptions : CoordinatorPolicy {
  std::string listen_address = "127.0.0.1:0";
  std::string http_address;  ///< host:port of /metrics and /console; empty = not served.
  std::string console_dir;   ///< Folder of the console's page; empty = only its data is served.
  std::string price_list;    ///< File of node prices; empty = every price is unknown.
  std::string build;         ///< Build of the process, for people.
  std::string node;          ///< Machine it runs on.
  std::string zone;          ///< Failure zone of that machine.
  monitoring::NodeShare node_share;
  double budget_per_month = 0;         ///< In the price list's currency; 0 = nothing was said.
  monitoring::Ledger::Options ledger;  ///< Without an address nobody keeps the nodes' time.
  bool insecure = false;               ///< Allow listening beyond loopback without TLS.
  bool reflection = false;             ///< gRPC server reflection, for people with grpcurl.
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
  /// The same of the HTTP server; empty when there is none.
  const std::string& http_address() const;
  /// Ends all streams (shards and routers carry on without) and stops serving. Idempotent.
  void Shutdown();

 private:
  class Impl;
  explicit CoordinatorServer(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace moesaic::placement
