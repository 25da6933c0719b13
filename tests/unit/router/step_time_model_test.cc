#include "router/scheduler/step_time_model.h"

#include <cmath>
#include <functional>
#include <random>

#include "gtest/gtest.h"

namespace moesaic::router {
namespace {

using SecondsOf = std::function<double(const StepRows& rows, int micro_batches)>;

/// Shards behind a slow wire: dividing hides half of what a step waits for.
double SlowWire(const StepRows& rows, int micro_batches) {
  const double own = 10e-3 + 0.3e-3 * (rows.prefill + rows.decode);
  return own + (micro_batches == 2 ? 10e-3 : 20e-3);
}

/// All on the same processors, bound by memory: dividing reads experts twice.
double SharedMemory(const StepRows& rows, int micro_batches) {
  const double experts = 1 - std::exp(-0.1 * (rows.prefill + rows.decode) / micro_batches);
  return 15e-3 + 0.5e-3 * rows.prefill + 60e-3 * experts * micro_batches;
}

/// Runs steps of 8 to 33 decodes, every fourth with up to 64 rows of a prompt, that take a tenth
/// or two more or less than `seconds` says.
class Load {
 public:
  explicit Load(StepTimeModel& model) : model_(model) {}

  /// Returns the share of steps in two micro-batches.
  double Run(int steps, const SecondsOf& seconds) {
    int two = 0;
    for (int i = 0; i < steps; ++i) {
      const StepRows rows = {.prefill = i % 4 == 0 ? 1 + Below(64) : 0, .decode = 8 + Below(26)};
      const int count = model_.ChooseMicroBatches(rows);
      two += count == 2;
      model_.Add(rows, count, seconds(rows, count) * std::exp(noise_(random_)));
    }
    return 1.0 * two / steps;
  }

 private:
  int Below(int end) { return static_cast<int>(random_() % end); }

  StepTimeModel& model_;
  std::mt19937 random_{1};
  std::normal_distribution<double> noise_{0, 0.15};
};

TEST(StepTimeModelTest, DividesStepsWhenTheWireIsSlow) {
  StepTimeModel model;
  Load load(model);
  load.Run(200, SlowWire);
  EXPECT_GT(load.Run(2000, SlowWire), 0.97);
}

TEST(StepTimeModelTest, DoesNotDivideStepsWhenThatReadsExpertsAgain) {
  StepTimeModel model;
  Load load(model);
  load.Run(200, SharedMemory);
  EXPECT_LT(load.Run(2000, SharedMemory), 0.02) << "trials cost less, the more they lose";
}

TEST(StepTimeModelTest, FollowsAChange) {
  StepTimeModel model;
  Load load(model);
  load.Run(1000, SharedMemory);
  load.Run(4000, SlowWire);
  EXPECT_GT(load.Run(500, SlowWire), 0.9);
  load.Run(2000, SharedMemory);
  EXPECT_LT(load.Run(500, SharedMemory), 0.1);
}

TEST(StepTimeModelTest, WhatPaysMayDependOnTheRows) {
  const auto seconds = [](const StepRows& rows, int count) {
    return count == 2 ? 10e-3 + 1e-3 * rows.decode : 20e-3 + 0.2e-3 * rows.decode;
  };
  StepTimeModel model;
  for (int i = 0; i < 500; ++i) {
    const StepRows rows = {.decode = 2 + i % 31};
    const int count = model.ChooseMicroBatches(rows);
    model.Add(rows, count, seconds(rows, count));
  }
  EXPECT_EQ(model.ChooseMicroBatches({.decode = 4}), 2);
  EXPECT_EQ(model.ChooseMicroBatches({.decode = 30}), 1);
}

TEST(StepTimeModelTest, ANumberCanBeFixed) {
  StepTimeModel model(2);
  Load load(model);
  EXPECT_EQ(load.Run(200, SharedMemory), 1);
  EXPECT_LT(model.PrefillRowsWithin(0.1, 8, 16, 512), 512);
}

TEST(StepTimeModelTest, PromptsJoinUpToATime) {
  StepTimeModel model;
  EXPECT_EQ(model.PrefillRowsWithin(0.1, 8, 16, 512), 512) << "nothing is known yet";
  for (int i = 0; i < 200; ++i) {
    const StepRows mixed = {.prefill = 16 + i % 100, .decode = 1 + i % 32};
    model.Add(mixed, 1, 10e-3 + 1e-3 * mixed.prefill + 2e-3 * mixed.decode);
    model.Add({.decode = mixed.decode}, 1, 10e-3 + 2e-3 * mixed.decode);
  }
  EXPECT_NEAR(model.PrefillRowsWithin(0.1, 8, 16, 512), 74, 2);
  EXPECT_NEAR(model.PrefillRowsWithin(0.1, 32, 16, 512), 74, 2) << "twice 74 ms";
  EXPECT_EQ(model.PrefillRowsWithin(0.1, 8, 16, 50), 50);
  EXPECT_EQ(model.PrefillRowsWithin(0.01, 1, 16, 512), 16) << "prompts always go on";
  EXPECT_EQ(model.PrefillRowsWithin(0.01, 1, 16, 8), 8);
  EXPECT_EQ(model.PrefillRowsWithin(HUGE_VAL, 8, 16, 512), 512);
}

}  // namespace
}  // namespace moesaic::router
