#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "monitoring/registry.h"
#include "router/engine/step_times.h"
#include "router/scheduler/step_time_model.h"

namespace moesaic::router {

/// The series the scheduler records itself, looked up once. Thread-safe.
struct SchedulerMetrics {
  explicit SchedulerMetrics(monitoring::Registry& registry)
      : prefill(registry, "prefill"),
        decode(registry, "decode"),
        by_micro_batches{
            registry.Get(monitoring::metrics::kStepsByMicroBatchesTotal, {"1"}),
            registry.Get(monitoring::metrics::kStepsByMicroBatchesTotal, {"2"}),
        },
        step_duration(registry.Get(monitoring::metrics::kStepDurationSeconds)),
        step_tokens(registry.Get(monitoring::metrics::kStepTokens)),
        queue_wait(registry.Get(monitoring::metrics::kQueueWaitSeconds, {"normal"})),
        busy_prefill(registry.Get(monitoring::metrics::kBusySecondsTotal, {"prefill"})),
        busy_decode(registry.Get(monitoring::metrics::kBusySecondsTotal, {"decode"})) {}

  /// Of steps of one kind.
  struct OfSteps {
    OfSteps(monitoring::Registry& registry, std::string_view kind)
        : steps(registry.Get(monitoring::metrics::kStepsTotal, {kind})),
          rows(registry.Get(monitoring::metrics::kStepRowsTotal, {kind})) {
      for (const std::string_view phase : kStepPhaseNames) {
        phases.push_back(registry.Get(monitoring::metrics::kStepPhaseSecondsTotal, {kind, phase}));
      }
    }

    monitoring::Counter steps;
    monitoring::Counter rows;
    std::vector<monitoring::Counter> phases;  ///< By StepPhase.
  };

  OfSteps prefill;  ///< Steps with rows of prompts.
  OfSteps decode;   ///< Steps without.
  std::array<monitoring::Counter, StepTimeModel::kMaxMicroBatches> by_micro_batches;
  monitoring::Histogram step_duration;
  monitoring::Histogram step_tokens;
  monitoring::Histogram queue_wait;
  monitoring::Counter busy_prefill;
  monitoring::Counter busy_decode;
};

}  // namespace moesaic::router
