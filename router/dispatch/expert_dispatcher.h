#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "monitoring/node_share.h"
#include "monitoring/registry.h"
#include "placement/view/load_report.h"
#include "placement/view/placement_map.h"
#include "router/dispatch/dispatch_stats.h"
#include "router/dispatch/retry_budget.h"
#include "router/engine/expert_backend.h"
#include "rpc/credentials.h"
#include "rpc/dispatch_message.h"
#include "rpc/handshake.h"

namespace moesaic::router {

/// Computes routed experts on the shards of a placement, over gRPC. Each row goes once to every
/// shard it touches; replies fill (token, unit) slots, the first wins. What a shard lacks, refuses
/// or loses goes to another replica, and waits for one until the row's deadline when there is none,
/// unless it is to be left out then (Options::skip_lost_after).
/// Slot bits never depend on who answered. Thread-safe.
class ExpertDispatcher final : public ExpertBackend {
 public:
  struct Options {
    rpc::LocalHello hello;  ///< sender = this router's name; model = what it computes.
    rpc::Credentials credentials = {};
    rpc::WireDtype wire_dtype = rpc::WireDtype::kBF16;
    /// How long the polling thread spins before it blocks (rpc/completion_queue.h).
    absl::Duration spin = absl::Microseconds(50);
    /// Limits of the wait between two attempts to connect to a shard.
    absl::Duration initial_backoff = absl::Milliseconds(100);
    absl::Duration max_backoff = absl::Seconds(1);
    /// Of hedges and retries after a time-out.
    RetryBudget::Options budget = {};
    /// A unit whose last live holder is lost is left out of the rows that need it (degraded mode),
    /// once a row has waited for it so long; infinite = never, rows wait until their deadlines.
    absl::Duration skip_lost_after = absl::InfiniteDuration();
    /// Seed of the random choice between replicas; 0 = another one each time.
    std::uint64_t seed = 0;
    monitoring::Registry* metrics = nullptr;  ///< For durations; borrowed; null: none are kept.
    /// What a second of a process on that part of a node costs; nullopt = unknown. Empty: nothing
    /// has a price.
    std::function<std::optional<double>(const monitoring::NodeShare&)> price_per_second = {};
    const base::Clock* clock = &base::Clock::Real();
  };

  /// Errors: InvalidArgument for an identity without hidden or unit size.
  static absl::StatusOr<std::unique_ptr<ExpertDispatcher>> Create(Options options);
  /// Fails what is in flight with Unavailable and closes the streams.
  ~ExpertDispatcher() override;

  /// Follows `placement`: opens streams to new shards, closes those to shards it no longer names
  /// (their work goes to replicas) and resends what waited. Any thread but those on which `done`
  /// runs; make it a listener of the PlacementHolder.
  void SetPlacement(std::shared_ptr<const placement::PlacementMap> placement);

  void Compute(const ExpertCall& call, absl::AnyInvocable<void(ExpertOutcome)> done) override;
  absl::Status Ready() const override;
  int unit_size() const override;

  /// A snapshot of the counters.
  DispatchStats Stats() const;
  /// What was asked of units and shards since the last call, for the coordinator.
  placement::LoadReport TakeLoad();

 private:
  class Impl;
  explicit ExpertDispatcher(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace moesaic::router
