#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/paged_sequence.h"

namespace moesaic::kernels {

/// One query of the block arithmetic of AttentionGqaArgs by plain loops.
/// key(j, d) and value(j, v) are the widened elements at absolute position j.
struct ReferenceQuery {
  std::vector<float> query;
  std::int64_t position = 0;
  float scale = 0;
  std::int64_t v_dim = 0;
  std::function<float(std::int64_t, std::int64_t)> key;
  std::function<float(std::int64_t, std::int64_t)> value;
};

/// Column `column` of the cached row of `position`, widened.
float CachedElement(const PagedKvView& cache, const PagedSequence& sequence, std::int64_t position,
                    std::int64_t column);

/// The normalised output [v_dim], f32.
std::vector<float> AttendReference(const ReferenceQuery& query);

}  // namespace moesaic::kernels
