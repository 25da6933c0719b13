#pragma once

#include <array>
#include <cstddef>
#include <numeric>
#include <string_view>

#include "monitoring/usage_record.h"

namespace moesaic::router {

/// What the time of a step goes to. Names as in `moesaic_step_phase_seconds_total`.
enum class StepPhase { kAttention, kGate, kDispatch, kShared, kCombine, kSample, kOther };
inline constexpr std::size_t kStepPhases = 7;
inline constexpr std::array<std::string_view, kStepPhases> kStepPhaseNames = {
    "attention", "gate", "dispatch", "shared", "combine", "sample", "other"};

/// Where the time of a step went. The phases add up to all of it. Plain value.
struct StepTimes {
  std::array<double, kStepPhases> seconds{};

  double& operator[](StepPhase phase) { return seconds[static_cast<std::size_t>(phase)]; }
  double operator[](StepPhase phase) const { return seconds[static_cast<std::size_t>(phase)]; }
  double total() const { return std::accumulate(seconds.begin(), seconds.end(), 0.0); }
  /// All but the time in which this machine merely waited for the shards.
  double busy() const { return total() - (*this)[StepPhase::kDispatch]; }
};

/// Machine time that computing part of a request took, for its prompt and for its generated
/// positions. Plain value.
struct SliceWork {
  monitoring::WorkCost prefill;
  monitoring::WorkCost decode;
};

}  // namespace moesaic::router
