#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace moesaic::router {

/// How many result rows a router keeps in flight on one lane of a shard, so that its queue waits in
/// the router, where a row can still go to another replica. Follows the gradient of the shard's
/// queue wait (not of its latency, which batching raises harmlessly): one batch may wait while one
/// computes; beyond that the limit shrinks, below it grows by its square root while it is used.
/// After Netflix's concurrency-limits, Gradient2Limit. Thread-compatible.
class FlowLimit {
 public:
  /// Always allowed: a decode step of a busy router (64 sequences, 8 experts each) on one shard.
  static constexpr double kMin = 512;
  static constexpr double kMax = 1 << 20;

  /// Takes in an answered dispatch. `in_flight`: rows in flight when the answer came, its own
  /// included.
  void OnAnswer(absl::Duration queue_wait, absl::Duration compute, std::uint64_t in_flight);
  std::uint64_t limit() const { return static_cast<std::uint64_t>(limit_); }

 private:
  double limit_ = 4096;  // a shard's largest batch by default
};

}  // namespace moesaic::router
