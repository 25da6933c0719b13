#pragma once

#include <array>
#include <cstddef>
#include <numeric>
#include <string_view>

#include "monitoring/usage_record.h"

namespace moesaic::router {

/// What the time of a step goes to. Names as in `moesaic_step_phase_seconds_total`.
enum class StepPhase {
  // Ops on the stream.
  kAttention,
  kGate,
  kShared,
  kCombine,
  kHead,    ///< The last norm and the logits.
  kSample,  ///< Choosing tokens, and log-probabilities.
  kOther,   ///< The embedding, and what the loop does itself.
  // The loop's own: choosing replicas, converting rows for the wire, sending.
  kPack,
  // Waiting for the shards with the stream at rest. What passes while the stream is busy is none of
  // these.
  kWire,    ///< The network, the serialisation at both ends, and taking the results.
  kQueue,   ///< In the shard, before its batch began.
  kExpert,  ///< The shard computes.
};
inline constexpr std::size_t kStreamPhases = 7;  ///< The first: tags of the stream's items.
inline constexpr std::size_t kStepPhases = 11;
inline constexpr std::array<std::string_view, kStepPhases> kStepPhaseNames = {
    "attention", "gate", "shared", "combine", "head",  "sample",
    "other",     "pack", "wire",   "queue",   "expert"};

/// Where the time of a step went. The phases add up to all of it. Plain value.
struct StepTimes {
  std::array<double, kStepPhases> seconds{};

  double& operator[](StepPhase phase) { return seconds[static_cast<std::size_t>(phase)]; }
  double operator[](StepPhase phase) const { return seconds[static_cast<std::size_t>(phase)]; }
  double total() const { return std::accumulate(seconds.begin(), seconds.end(), 0.0); }
  /// The time in which this machine merely waited for the shards.
  double waiting() const {
    return (*this)[StepPhase::kWire] + (*this)[StepPhase::kQueue] + (*this)[StepPhase::kExpert];
  }
  double busy() const { return total() - waiting(); }
};

/// Machine time that computing part of a request took, for its prompt and for its generated
/// positions. Plain value.
struct SliceWork {
  monitoring::WorkCost prefill;
  monitoring::WorkCost decode;
};

}  // namespace moesaic::router
