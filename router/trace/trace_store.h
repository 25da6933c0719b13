#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "monitoring/registry.h"
#include "router/trace/request_trace.h"

namespace moesaic::router {

/// The requests that /debug/trace knows: those that run, the last ones that ended, and of the last
/// minutes the slowest, by duration and by time to the first token. Bounded in number and bytes.
/// Thread-safe.
class TraceStore {
 public:
  struct Options {
    /// For ended requests; what they share counts for each of them. 0 = no request is traced.
    std::size_t max_bytes = std::size_t{32} << 20;
    std::size_t recent = 512;
    std::size_t slowest = 32;  ///< Of each kind.
    absl::Duration slow_window = absl::Minutes(10);
  };

  /// Borrows clock and registry.
  TraceStore(Options options, monitoring::Registry& registry, const base::Clock& clock);

  /// A request has arrived. Null when none is traced.
  std::shared_ptr<RequestTrace> Begin(TracedRequest request);
  /// It has ended. `trace` may be null.
  void End(const std::shared_ptr<RequestTrace>& trace, monitoring::UsageRecord usage,
           std::string status);

  /// By request id, or by trace id; of several, the one that came last. Null when there is none.
  std::shared_ptr<const RequestTrace> Find(std::string_view id) const;
  /// Those that run and those that ended, the latest arrival first.
  std::vector<std::shared_ptr<const RequestTrace>> List() const;

 private:
  struct Ended {
    std::shared_ptr<const RequestTrace> trace;
    absl::Duration ended;  // monotonic
    double duration_seconds = 0;
    double first_token_seconds = 0;
    std::size_t bytes = 0;
  };

  void Trim() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Entries of the window above it are the slowest.
  double Threshold(double Ended::*value) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  const base::Clock& clock_;
  monitoring::Counter traces_;

  mutable base::Mutex mutex_;
  absl::flat_hash_set<std::shared_ptr<const RequestTrace>> running_ ABSL_GUARDED_BY(mutex_);
  std::deque<Ended> ended_ ABSL_GUARDED_BY(mutex_);  // oldest first
  std::size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace moesaic::router
