#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "router/scheduler/step_cost_fit.h"

namespace moesaic::router {

/// Rows of a step: of prompts, and of generations. Plain value.
struct StepRows {
  std::int32_t prefill = 0;
  std::int32_t decode = 0;
};

/// Learns how long the steps of this router take, and decides by it how many micro-batches a step
/// is computed in, and how many rows of prompts a step takes beside those of generations.
///
/// With two micro-batches the router computes one while the other is with the shards, and every
/// expert that both touch is read twice: which is faster depends on the model, the batch, the wire
/// and on who shares the processors. So it is measured. What a step takes in so many micro-batches
/// is predicted as what its rows take on average (a fit, apart for steps with and without rows of
/// prompts) times how steps of about its size, in so many, compare with that. What is predicted to
/// be slower is tried once in a while, the less often the slower, so that a change is noticed and
/// trying costs little. Single-thread.
class StepTimeModel {
 public:
  static constexpr int kMaxMicroBatches = 2;

  /// `micro_batches`: 1 or 2 for all steps; nullopt = what is predicted to be faster.
  explicit StepTimeModel(std::optional<int> micro_batches = std::nullopt)
      : fixed_micro_batches_(micro_batches) {}

  /// 1 or 2, for a step that can be divided.
  int ChooseMicroBatches(const StepRows& rows);
  /// A step in so many micro-batches (1 or 2) took so long.
  void Add(const StepRows& rows, int micro_batches, double seconds);
  /// The most rows of prompts, `least` to `most`, with which a step that has `decode_rows` rows of
  /// generations is predicted to take no more than `seconds`, or twice what those take alone.
  std::int32_t PrefillRowsWithin(double seconds, std::int32_t decode_rows, std::int32_t least,
                                 std::int32_t most) const;

 private:
  /// What steps take by their rows.
  struct Average {
    StepCostFit fit;
    StepCostCurve curve;  // of the fit, a few steps ago
    std::int64_t steps = 0;
    double SecondsOf(const StepRows& rows) const;
    void Add(const StepRows& rows, double seconds);
  };
  /// Steps of about the same number of rows.
  struct Size {
    /// In so many micro-batches.
    struct Comparison {
      /// What is average for the rows over what it took: a step that was held up weighs little.
      double speed = 1;
      int steps = 0;
      void Add(double of_a_step);
    };
    std::array<Comparison, kMaxMicroBatches> by_count;  // micro-batches - 1
    int preferred = 1;
    int since_trial = 0;  // steps
    /// Relative to the average.
    double SecondsOf(int micro_batches) const { return 1 / by_count[micro_batches - 1].speed; }
  };
  /// Of steps with rows of prompts, or of those without.
  struct Kind {
    Average average;
    std::array<Size, 16> sizes;  // by the binary digits of the number of rows
    Size& SizeOf(const StepRows& rows);
  };

  Kind& KindOf(const StepRows& rows) { return rows.prefill > 0 ? mixed_ : decode_; }

  const std::optional<int> fixed_micro_batches_;
  Kind mixed_;
  Kind decode_;
};

}  // namespace moesaic::router
