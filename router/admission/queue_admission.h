#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace moesaic::router {

/// What the decision to queue one more generation is made from. Plain value.
struct QueueSnapshot {
  int waiting = 0;    ///< Generations not yet started.
  int max_queue = 0;  ///< Bound of `waiting`.
  bool draining = false;
  /// Smoothed time between two admissions from the queue; zero when none was seen yet.
  absl::Duration admission_interval = absl::ZeroDuration();
};

/// Decides whether a new generation may wait. Pure.
/// Errors: Unavailable while draining; ResourceExhausted when the queue is full, with a retry
/// delay (base::WithRetryDelay): the time the queue needs to shrink by a tenth, within [1 s, 60 s].
absl::Status AdmitToQueue(const QueueSnapshot& snapshot);

}  // namespace moesaic::router
