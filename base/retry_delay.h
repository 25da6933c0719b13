#pragma once

#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace moesaic::base {

/// Attaches "try again after `delay`" (whole milliseconds, at least 0) to an error, for HTTP's
/// Retry-After and gRPC's RetryInfo. An OK status stays as it is.
absl::Status WithRetryDelay(absl::Status status, absl::Duration delay);
/// The delay attached by WithRetryDelay; nullopt without one.
std::optional<absl::Duration> RetryDelay(const absl::Status& status);

}  // namespace moesaic::base
