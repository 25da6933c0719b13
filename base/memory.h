#pragma once

#include <cstdint>

#include "absl/status/statusor.h"

namespace moesaic::base {

/// Bytes this process may still allocate: what the system has available, or what its cgroup has
/// left if that is less. Errors: Internal when neither can be read.
absl::StatusOr<std::uint64_t> AvailableMemoryBytes();

}  // namespace moesaic::base
