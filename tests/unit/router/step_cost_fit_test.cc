#include "router/scheduler/step_cost_fit.h"

#include <cmath>

#include "gtest/gtest.h"

namespace moesaic::router {
namespace {

/// 16 experts in each of 4 layers, of which a row chooses 3.
double ExpertsOf(double rows) { return 64 * (1 - std::pow(13.0 / 16, rows)); }

TEST(StepCostFitTest, TellsRowsAndExpertsApart) {
  const auto cost = [](const StepTerms& terms) {
    return StepCost{
        .total = 2e-3 + 3e-5 * terms.prefill_rows + 8e-5 * terms.decode_rows + 1e-4 * terms.experts,
        .waiting = 5e-4 + 2e-5 * terms.prefill_rows + 1e-4 * terms.experts};
  };
  StepCostFit fit;
  const auto add = [&](double prefill, double decode) {
    const StepTerms terms = {
        .prefill_rows = prefill, .decode_rows = decode, .experts = ExpertsOf(prefill + decode)};
    fit.Add(terms, cost(terms));
  };
  for (int round = 0; round < 20; ++round) {
    add(20 + 3 * round, round % 4);
    for (int token = 0; token < 10; ++token) add(0, 1 + (round + token) % 4);
  }
  // Many times what any step had: only the terms themselves say what that costs.
  const StepTerms full = {.prefill_rows = 80, .decode_rows = 62, .experts = 64};
  EXPECT_NEAR(fit.Predict(full).total / cost(full).total, 1, 0.05);
  EXPECT_NEAR(fit.Predict(full).waiting / cost(full).waiting, 1, 0.05);
}

TEST(StepCostFitTest, RowsMayBecomeCheaper) {
  const auto seconds = [](double rows) { return 1e-3 + 3e-4 * std::sqrt(rows) + 2e-5 * rows; };
  StepCostFit fit;
  for (int rows = 1; rows <= 16; ++rows) {
    fit.Add({.decode_rows = 1.0 * rows}, {.total = seconds(rows)});
  }
  EXPECT_NEAR(fit.Predict({.decode_rows = 64}).total, seconds(64), 0.05 * seconds(64));
}

TEST(StepCostFitTest, NothingMakesAStepShorter) {
  StepCostFit fit;
  for (int rows = 1; rows < 30; ++rows) {
    const StepTerms terms = {.prefill_rows = 1.0 * rows, .experts = ExpertsOf(rows)};
    fit.Add(terms, {.total = 1e-3 - 1e-5 * rows, .waiting = 5e-4});
  }
  const StepTerms full = {.prefill_rows = 400, .experts = 64};
  EXPECT_GE(fit.Predict(full).total, 7e-4);
  EXPECT_NEAR(fit.Predict(full).waiting, 5e-4, 5e-5);
}

TEST(StepCostFitTest, AStepThatWasHeldUpWeighsLittle) {
  StepCostFit fit;
  for (int rows = 1; rows < 100; ++rows) {
    fit.Add({.decode_rows = 1.0 * rows}, {.total = (rows == 50 ? 1.0 : 1e-3) * rows});
  }
  EXPECT_NEAR(fit.Predict({.decode_rows = 400}).total, 0.4, 0.02);
}

TEST(StepCostFitTest, WhatIsOldWeighsLittle) {
  StepCostFit fit;
  const auto add = [&](double seconds) {
    for (int rows = 1; rows < 30; ++rows)
      fit.Add({.decode_rows = 1.0 * rows}, {.total = seconds * rows});
  };
  add(1);
  fit.Fade(0.001);
  add(2);
  EXPECT_NEAR(fit.Predict({.decode_rows = 10}).total, 20, 0.1);
  EXPECT_EQ(StepCostFit().Predict({.decode_rows = 10}).total, 0);
}

}  // namespace
}  // namespace moesaic::router
