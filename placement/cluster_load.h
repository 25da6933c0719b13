#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "placement/membership.h"
#include "placement/view/router_load.h"

namespace moesaic::placement {

/// What all routers do together, by their reports: now, over the last minutes by tenant, and as a
/// history for charts. Bounded. Pure: time is passed in. Single-thread.
class ClusterLoad {
 public:
  /// Of all routers. Latencies are those of the router where they are longest: percentiles cannot
  /// be added up. 0 = not known or none.
  struct Now {
    double tokens_per_s = 0;         ///< Generated, over the last ten seconds.
    double prompt_tokens_per_s = 0;  ///< Computed, likewise.
    double capacity_tokens_per_s = 0;
    std::string bottleneck;
    std::uint32_t running = 0;
    std::uint32_t waiting = 0;
    double ttft_p50_ms = 0;
    double ttft_p95_ms = 0;
    double itl_p50_ms = 0;
    double itl_p95_ms = 0;
  };
  /// A point of the history.
  struct Sample {
    absl::Duration at;
    Now load;
  };
  static constexpr absl::Duration kSampleInterval = absl::Seconds(2);
  /// Tenants' figures are of at most so long.
  static constexpr absl::Duration kTenantWindow = absl::Minutes(5);

  explicit ClusterLoad(absl::Duration now) : started_(now) {}

  void Add(absl::Duration now, SessionId router, const RouterLoad& load);
  void Remove(SessionId router) { routers_.erase(router); }
  /// Extends the history when a sample is due. Call it often.
  void Tick(absl::Duration now);

  Now At(absl::Duration now) const;
  /// Sums over tenant_window(), by name.
  std::map<std::string, TenantLoad> Tenants(absl::Duration now) const;
  /// So long a time the tenants' figures are about: shorter while the coordinator is young.
  absl::Duration tenant_window(absl::Duration now) const;
  /// A quarter of an hour, oldest first.
  const std::deque<Sample>& history() const { return history_; }

 private:
  struct Window {
    absl::Duration at;
    std::uint64_t generated_tokens = 0;
    std::uint64_t prompt_tokens = 0;
  };
  struct Router {
    std::deque<Window> windows;  // of the last ten seconds
    RouterLoad last;
    absl::Duration heard;
    absl::Duration ttft_heard = -absl::InfiniteDuration();  // when latencies were last measured
  };
  struct Slice {
    absl::Duration begun;
    std::map<std::string, TenantLoad> tenants;
  };

  const absl::Duration started_;
  std::map<SessionId, Router> routers_;
  std::deque<Slice> slices_;
  std::deque<Sample> history_;
};

}  // namespace moesaic::placement
