#include "router/dispatch/retry_budget.h"

#include "gtest/gtest.h"

namespace moesaic::router {
namespace {

TEST(RetryBudgetTest, HalfCanBeSpentAtOnce) {
  RetryBudget budget({.capacity = 10, .per_success = 0.1});
  int spent = 0;
  while (budget.TrySpend()) ++spent;
  EXPECT_EQ(spent, 5);
}

TEST(RetryBudgetTest, SuccessesPayForMoreAtTheirRatio) {
  RetryBudget budget({.capacity = 10, .per_success = 0.25});
  while (budget.TrySpend()) {
  }
  int spent = 0;
  for (int i = 0; i < 1000; ++i) {
    budget.OnSuccess();
    spent += budget.TrySpend();
  }
  EXPECT_EQ(spent, 250);
}

TEST(RetryBudgetTest, ItNeverHoldsMoreThanItsCapacity) {
  RetryBudget budget({.capacity = 4, .per_success = 1});
  for (int i = 0; i < 100; ++i) budget.OnSuccess();
  EXPECT_TRUE(budget.TrySpend());
  EXPECT_TRUE(budget.TrySpend());
  EXPECT_FALSE(budget.TrySpend());
}

TEST(RetryBudgetTest, WithoutCapacityNothingIsAllowed) {
  RetryBudget budget({.capacity = 0, .per_success = 1});
  budget.OnSuccess();
  EXPECT_FALSE(budget.TrySpend());
}

}  // namespace
}  // namespace moesaic::router
