#pragma once

#include <cstdint>

#include "router/engine/step_times.h"

namespace moesaic::router {

/// One step as it went: what the capacity model learns from. Plain value.
struct StepSample {
  std::int32_t prefill_rows = 0;
  std::int32_t decode_rows = 0;
  std::int32_t sampled_rows = 0;  ///< Rows that went through the head: tokens chosen.
  std::int64_t experts = 0;       ///< Distinct experts chosen, summed over layers.
  double seconds = 0;             ///< From its start until the next one could start.
  StepTimes times;
};

}  // namespace moesaic::router
