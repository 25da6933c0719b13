#include "router/scheduler/step_time_model.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

namespace moesaic::router {
namespace {

/// An average forgets in about so many steps, a comparison in so many of its own.
constexpr double kKeepPerStep = 1 - 1.0 / 64;
constexpr int kCompareOver = 32;
/// Before a comparison is trusted; single steps differ by a tenth or two.
constexpr int kFirstSteps = 8;
/// Steps between two solutions of a fit, which take ten microseconds.
constexpr int kSolveEvery = 8;
/// By so much the other number must be faster to be preferred.
constexpr double kMargin = 0.03;
/// The other number is tried once in kTrialSteps * (1 + kTrialBackoff * its disadvantage) steps:
/// trying lengthens all steps together by less than 1 / (kTrialSteps * kTrialBackoff), 0.2 %.
constexpr int kTrialSteps = 64;
constexpr double kTrialBackoff = 8;
/// A step with rows of prompts may take so many times what its generations take alone.
constexpr double kMostSlowdown = 2;

}  // namespace

double StepTimeModel::Average::SecondsOf(const StepRows& rows) const {
  return curve
      .At({.prefill_rows = static_cast<double>(rows.prefill),
           .decode_rows = static_cast<double>(rows.decode)})
      .total;
}

void StepTimeModel::Average::Add(const StepRows& rows, double seconds) {
  fit.Fade(kKeepPerStep);
  fit.Add({.prefill_rows = static_cast<double>(rows.prefill),
           .decode_rows = static_cast<double>(rows.decode)},
          {.total = seconds});
  if (steps++ % kSolveEvery == 0 || steps < kSolveEvery) curve = fit.Solve();
}

void StepTimeModel::Size::Comparison::Add(double of_a_step) {
  steps = std::min(steps + 1, kCompareOver);
  speed += (of_a_step - speed) / steps;
}

StepTimeModel::Size& StepTimeModel::Kind::SizeOf(const StepRows& rows) {
  const auto digits = static_cast<std::size_t>(
      std::bit_width(static_cast<std::uint32_t>(rows.prefill + rows.decode)));
  return sizes[std::min(digits, sizes.size() - 1)];
}

int StepTimeModel::ChooseMicroBatches(const StepRows& rows) {
  if (fixed_micro_batches_) return *fixed_micro_batches_;
  Size& size = KindOf(rows).SizeOf(rows);
  const auto& [one, two] = size.by_count;
  if (std::min(one.steps, two.steps) < kFirstSteps) return one.steps <= two.steps ? 1 : 2;
  int other = 3 - size.preferred;
  if (size.SecondsOf(other) < (1 - kMargin) * size.SecondsOf(size.preferred)) {
    std::swap(size.preferred, other);
    size.since_trial = 0;
  }
  const double disadvantage =
      std::max(0.0, size.SecondsOf(other) / size.SecondsOf(size.preferred) - 1);
  if (++size.since_trial < kTrialSteps * (1 + kTrialBackoff * disadvantage)) return size.preferred;
  size.since_trial = 0;
  return other;
}

void StepTimeModel::Add(const StepRows& rows, int micro_batches, double seconds) {
  Kind& kind = KindOf(rows);
  if (const double average = kind.average.SecondsOf(rows); average > 0 && seconds > 0) {
    Size& size = kind.SizeOf(rows);
    size.by_count[micro_batches - 1].Add(average / seconds);
    // A trial that went well is followed by another: what is known of this number may be old.
    if (micro_batches != size.preferred && seconds / average < size.SecondsOf(size.preferred)) {
      size.since_trial = std::numeric_limits<int>::max() / 2;
    }
  }
  kind.average.Add(rows, seconds);
}

std::int32_t StepTimeModel::PrefillRowsWithin(double seconds, std::int32_t decode_rows,
                                              std::int32_t least, std::int32_t most) const {
  const Average& mixed = mixed_.average;
  if (mixed.steps == 0) return most;
  const double alone = decode_.average.SecondsOf({.decode = decode_rows});
  const double bound = std::max(seconds, kMostSlowdown * alone);
  // No more of anything makes a step shorter: halve the range in which the last row lies.
  std::int32_t fits = std::min(least, most);
  std::int32_t beyond = most + 1;
  while (beyond - fits > 1) {
    const std::int32_t middle = fits + (beyond - fits) / 2;
    const bool within = mixed.SecondsOf({.prefill = middle, .decode = decode_rows}) <= bound;
    (within ? fits : beyond) = middle;
  }
  return fits;
}

}  // namespace moesaic::router
