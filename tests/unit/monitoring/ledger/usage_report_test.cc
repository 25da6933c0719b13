#include "monitoring/ledger/usage_report.h"

#include <gtest/gtest.h>

namespace moesaic::monitoring {
namespace {

UsageSum Usage(std::string day, std::string tenant, double cost) {
  UsageSum sum;
  sum.day = std::move(day);
  sum.tenant = std::move(tenant);
  sum.model = "m";
  sum.currency = "USD";
  sum.requests = 2;
  sum.prompt_tokens = 1000;
  sum.generated_tokens = 500;
  sum.prefill_machine_seconds = 1;
  sum.decode_machine_seconds = 3;
  sum.prefill_cost = cost / 4;
  sum.decode_cost = cost * 3 / 4;
  return sum;
}

NodeTimeSum Node(std::string day, double cost, double busy_cost) {
  NodeTimeSum sum;
  sum.day = std::move(day);
  sum.currency = "USD";
  sum.alive_seconds = 10;
  sum.cost = cost;
  sum.busy_cost = busy_cost;
  return sum;
}

TEST(UsageReportTest, EachDaysIdleTimeIsThatDaysTenants) {
  const UsageReport report =
      MakeUsageReport({Usage("1", "a", 1), Usage("1", "b", 3), Usage("2", "a", 2)},
                      {Node("1", 8, 4), Node("2", 10, 2), Node("3", 5, 0)}, {UsageKey::kTenant});
  ASSERT_EQ(report.lines.size(), 2u);
  EXPECT_EQ(report.lines[0].sum.tenant, "a");
  EXPECT_EQ(report.lines[0].sum.day, "");
  EXPECT_EQ(report.lines[0].sum.requests, 4);
  EXPECT_DOUBLE_EQ(report.lines[0].direct_cost, 3);
  EXPECT_DOUBLE_EQ(report.lines[0].idle_cost, 1 + 8);
  EXPECT_DOUBLE_EQ(report.lines[0].per_million.blended.value(), 12.0 / 3000 * 1e6);
  EXPECT_DOUBLE_EQ(report.lines[0].per_million.input.value(), 3.0 / 2000 * 1e6);
  EXPECT_DOUBLE_EQ(report.lines[1].full_cost(), 3 + 3);
  ASSERT_EQ(report.totals.size(), 1u);
  const Reconciliation& total = report.totals[0];
  EXPECT_DOUBLE_EQ(total.node_cost, 23);
  EXPECT_DOUBLE_EQ(total.direct_cost, 6);
  EXPECT_DOUBLE_EQ(total.idle_cost, 17);
  ASSERT_EQ(total.unallocated.size(), 1u);  // nobody was there on the third day
  EXPECT_DOUBLE_EQ(total.unallocated.begin()->second, 5);
  EXPECT_DOUBLE_EQ(total.difference(), 0);
  Reconciliation less_idle = total;
  less_idle.idle_cost -= 1;
  EXPECT_DOUBLE_EQ(less_idle.difference(), 1);
}

TEST(UsageReportTest, WhatHasNoPriceIsUnknown) {
  UsageSum partly = Usage("1", "a", 1);
  partly.unpriced_seconds = 1;
  UsageSum without = Usage("1", "b", 0);
  without.currency = "";
  const UsageReport report =
      MakeUsageReport({partly, without}, {}, {UsageKey::kTenant, UsageKey::kDay});
  ASSERT_EQ(report.lines.size(), 2u);
  for (const UsageLine& line : report.lines) {
    EXPECT_TRUE(line.unpriced);
    EXPECT_FALSE(line.per_million.blended.has_value());
    EXPECT_EQ(line.sum.day, "1");
  }
}

TEST(UsageReportTest, CurrenciesAreNotAdded) {
  UsageSum euros = Usage("1", "a", 5);
  euros.currency = "EUR";
  const UsageReport report = MakeUsageReport({Usage("1", "a", 1), euros}, {Node("1", 2, 1)}, {});
  ASSERT_EQ(report.lines.size(), 2u);
  EXPECT_DOUBLE_EQ(report.lines[0].full_cost(), 5);
  EXPECT_DOUBLE_EQ(report.lines[1].full_cost(), 2);
  EXPECT_EQ(report.totals.size(), 2u);
}

TEST(UsageReportTest, NothingIsNothing) {
  const UsageReport report = MakeUsageReport({}, {}, {UsageKey::kTenant});
  EXPECT_TRUE(report.lines.empty());
  EXPECT_TRUE(report.totals.empty());
}

}  // namespace
}  // namespace moesaic::monitoring
