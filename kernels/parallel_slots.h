#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "base/compute_pool.h"

namespace moesaic::kernels {

/// Calls body(slot, item) once for every item in [0, items), at most `slots` at a time, no two at
/// once with the same slot: scratch memory is cut by slot. Items start in ascending order.
inline void ParallelForSlots(base::ComputePool& pool, std::int64_t slots, std::int64_t items,
                             absl::FunctionRef<void(std::int64_t, std::int64_t)> body) {
  std::atomic<std::int64_t> next{0};
  pool.ParallelFor(std::min(slots, items), [&](std::int64_t slot) {
    for (std::int64_t item = next.fetch_add(1, std::memory_order_relaxed); item < items;
         item = next.fetch_add(1, std::memory_order_relaxed)) {
      body(slot, item);
    }
  });
}

}  // namespace moesaic::kernels
