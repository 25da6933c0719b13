#pragma once

#include "base/mutex.h"
#include "router/engine/step_times.h"

namespace moesaic::router {

/// What has been computed for a request. Plain value.
struct RequestWork {
  SliceWork work;   ///< Machine time of router and shards, and its cost.
  StepTimes steps;  ///< Where the time of the steps went in which it took part.
};

/// Adds up the work of one request, all its choices, while the scheduler computes it: whatever the
/// end of the request is, it can be read. Thread-safe.
class WorkMeter {
 public:
  void Add(const SliceWork& work, const StepTimes& step) {
    base::MutexLock lock(mutex_);
    Add(work.prefill, total_.work.prefill);
    Add(work.decode, total_.work.decode);
    for (std::size_t phase = 0; phase < kStepPhases; ++phase) {
      total_.steps.seconds[phase] += step.seconds[phase];
    }
  }
  RequestWork Total() const {
    base::MutexLock lock(mutex_);
    return total_;
  }

 private:
  static void Add(const monitoring::WorkCost& from, monitoring::WorkCost& to) {
    to.router_seconds += from.router_seconds;
    to.shard_seconds += from.shard_seconds;
    to.cost += from.cost;
    to.unpriced_seconds += from.unpriced_seconds;
  }

  mutable base::Mutex mutex_;
  RequestWork total_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace moesaic::router
