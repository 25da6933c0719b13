#pragma once

#include "absl/time/time.h"
#include "services/cli/bench/random.h"

namespace moesaic::services {

/// When requests of an open loop come: `burst` at once, the gaps between bursts drawn from a gamma
/// distribution of shape `burstiness` (1 = exponential, so a Poisson process; below 1 burstier,
/// above 1 more even) whose mean makes `rate` requests a second. Single-thread.
class Arrivals {
 public:
  struct Options {
    double rate = 1;  ///< Requests per second, positive.
    int burst = 1;
    double burstiness = 1;
  };

  Arrivals(const Options& options, Random random) : options_(options), random_(random) {}

  /// From the start of the load to the next request. The first burst comes at 0.
  absl::Duration Next();

 private:
  const Options options_;
  Random random_;
  int left_in_burst_ = 0;
  bool begun_ = false;
  absl::Duration at_;
};

}  // namespace moesaic::services
