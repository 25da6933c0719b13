#pragma once

#include <algorithm>

namespace moesaic::router {

/// What hedges and retries after a time-out may cost together: a bucket of tokens that starts full,
/// gives one for each such dispatch, gets a fraction of one back for each answered dispatch, and is
/// closed while no more than half full (gRPC's retry throttling, proposal A6). In a steady state at
/// most `per_success` extra dispatches are sent per answered one. Thread-compatible.
class RetryBudget {
 public:
  struct Options {
    /// Half of it can be spent at once: enough for the work of a shard that stops answering.
    double capacity = 64;
    /// 3 %: hedges are worth a few percent of extra work, not more.
    double per_success = 0.03;
  };

  explicit RetryBudget(Options options) : options_(options), tokens_(options.capacity) {}

  /// Takes a token; false when the budget is closed.
  bool TrySpend() {
    if (tokens_ <= options_.capacity / 2) return false;
    tokens_ -= 1;
    return true;
  }
  /// Tokens that could be spent at once.
  double left() const { return std::max(0.0, tokens_ - options_.capacity / 2); }
  void OnSuccess() { tokens_ = std::min(options_.capacity, tokens_ + options_.per_success); }

 private:
  const Options options_;
  double tokens_;
};

}  // namespace moesaic::router
