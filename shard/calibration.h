#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/dtype.h"
#include "shard/expert_store.h"
#include "shard/ffn_executor.h"
#include "shard/speed_meter.h"

namespace moesaic::shard {

struct CalibrationOptions {
  absl::Duration budget;  ///< Time for computing, beside reading the weights; zero = do nothing.
  base::DType compute_dtype = base::DType::kBF16;
};

/// Measures what a shard's work costs before it serves: loads a few experts of the first MoE layer,
/// computes batches of several shapes on them, tells `meter` the shortest time of each shape (what
/// else the machine does only makes them longer), and unloads them again. Until it has served for a
/// while, this is what placement and replica choice go by. hidden_size: width of a row.
/// Requires: nothing is held, and nobody else uses store and executor yet.
/// Errors: ResourceExhausted when a unit is too large to be read for this, or does not fit into the
/// store; what reading the checkpoint reports.
absl::Status Calibrate(const CalibrationOptions& options, std::int64_t hidden_size,
                       ExpertStore& store, FfnExecutor& executor, const base::Clock& clock,
                       SpeedMeter& meter);

}  // namespace moesaic::shard
