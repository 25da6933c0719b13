#include "router/admission/queue_admission.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/retry_delay.h"

namespace moesaic::router {

absl::Status AdmitToQueue(const QueueSnapshot& snapshot) {
  if (snapshot.draining) return absl::UnavailableError("the router is draining");
  if (snapshot.waiting < snapshot.max_queue) return absl::OkStatus();
  const int shrink = std::max(1, snapshot.max_queue / 10);
  const absl::Duration delay =
      std::clamp(snapshot.admission_interval * shrink, absl::Seconds(1), absl::Seconds(60));
  return base::WithRetryDelay(absl::ResourceExhaustedError(absl::StrCat(
                                  "the waiting queue is full (", snapshot.max_queue, " requests)")),
                              delay);
}

}  // namespace moesaic::router
