#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "base/compute_pool.h"

namespace moesaic::kernels {

/// Elements below which handing work to another thread costs more than it saves (a hand-over is a
/// few microseconds; a core streams about 4 f32 per nanosecond).
inline constexpr std::int64_t kRowsGrain = 16384;

/// Calls body(begin, end) over [0, rows) in pieces of about kRowsGrain elements of `width` each.
inline void ParallelRows(base::ComputePool& pool, std::int64_t rows, std::int64_t width,
                         absl::FunctionRef<void(std::int64_t, std::int64_t)> body) {
  const std::int64_t piece =
      std::max<std::int64_t>(1, kRowsGrain / std::max<std::int64_t>(1, width));
  pool.ParallelFor((rows + piece - 1) / piece,
                   [&](std::int64_t i) { body(i * piece, std::min(rows, (i + 1) * piece)); });
}

/// A stride of 0 means contiguous.
inline std::int64_t StrideOr(std::int64_t stride, std::int64_t contiguous) {
  return stride != 0 ? stride : contiguous;
}

}  // namespace moesaic::kernels
