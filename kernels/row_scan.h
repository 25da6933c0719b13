#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

/// Plain passes over one row of values, shared by the ops that choose from it.
namespace moesaic::kernels {

inline bool AllFinite(absl::Span<const float> values) {
  bool finite = true;
  for (const float x : values) finite &= std::isfinite(x);
  return finite;
}

/// Fills `ids` with the indices of the largest values, descending, ties to the lowest index.
/// Requires: no NaN, ids.size() <= values.size(). By insertion: few ids are wanted and almost every
/// value of a long row fails the first comparison.
inline void TopN(absl::Span<const float> values, absl::Span<std::int32_t> ids) {
  if (ids.empty()) return;
  std::size_t held = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (held == ids.size()) {
      if (!(values[i] > values[static_cast<std::size_t>(ids[held - 1])])) continue;
      --held;
    }
    std::size_t at = held++;
    for (; at > 0 && values[i] > values[static_cast<std::size_t>(ids[at - 1])]; --at) {
      ids[at] = ids[at - 1];
    }
    ids[at] = static_cast<std::int32_t>(i);
  }
}

}  // namespace moesaic::kernels
