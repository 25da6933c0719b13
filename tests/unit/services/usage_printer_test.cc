#include "services/cli/usage_printer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_split.h"

namespace moesaic::services {
namespace {

using monitoring::NodeTimeSum;
using monitoring::UsageKey;
using monitoring::UsageReport;
using monitoring::UsageSum;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::set<UsageKey> kAll = {UsageKey::kDay, UsageKey::kTenant, UsageKey::kModel};

UsageReport Sample(const std::set<UsageKey>& keys) {
  UsageSum priced = {.day = "2026-01-31",
                     .tenant = "a, \"b\"",
                     .model = "m",
                     .currency = "USD",
                     .requests = 3,
                     .failed = 1,
                     .prompt_tokens = 4000,
                     .generated_tokens = 2000,
                     .prefill_machine_seconds = 1,
                     .decode_machine_seconds = 1,
                     .prefill_cost = 0.5,
                     .decode_cost = 0.5};
  UsageSum unpriced = priced;
  unpriced.tenant = "c";
  unpriced.unpriced_seconds = 2;
  unpriced.prefill_cost = unpriced.decode_cost = 0;
  const NodeTimeSum used = {.day = "2026-01-31",
                            .node_type = "n",
                            .capacity_type = "spot",
                            .currency = "USD",
                            .alive_seconds = 4,
                            .cost = 4,
                            .busy_cost = 1};
  const NodeTimeSum unused = {.day = "2026-02-01",
                              .node_type = "n",
                              .capacity_type = "spot",
                              .currency = "USD",
                              .alive_seconds = 4,
                              .cost = 2};
  return monitoring::MakeUsageReport({priced, unpriced}, {used, unused}, keys);
}

std::vector<std::string> Lines(const std::string& text) {
  return absl::StrSplit(text, '\n', absl::SkipEmpty());
}

TEST(UsagePrinterTest, TableSaysWhatIsUnknownAndWhetherItAddsUp) {
  const std::string table = UsageTable(Sample({UsageKey::kTenant}), {UsageKey::kTenant});
  EXPECT_THAT(table, StartsWith("tenant"));
  EXPECT_THAT(table, HasSubstr("unknown"));
  EXPECT_THAT(table, HasSubstr("nodes cost 6 USD: requests 1, idle 5, not explained 0 (0.00 %)"));
  EXPECT_THAT(table, HasSubstr("on days without requests, in no line above: 2"));
}

TEST(UsagePrinterTest, CsvQuotesAndLeavesUnknownEmpty) {
  const std::vector<std::string> lines = Lines(UsageCsv(Sample(kAll), kAll));
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0],
            "day,tenant,model,requests,not_ok,prompt_tokens,cached_prompt_tokens,generated_tokens,"
            "prefill_machine_seconds,decode_machine_seconds,unpriced_seconds,currency,direct_cost,"
            "idle_cost,cost,per_million_input,per_million_output,per_million_blended");
  EXPECT_EQ(lines[1],
            "2026-01-31,\"a, \"\"b\"\"\",m,3,1,4000,0,2000,1,1,0,USD,1,3,4,500,1000,"
            "666.6666667");
  EXPECT_EQ(lines[2], "2026-01-31,c,m,3,1,4000,0,2000,1,1,2,USD,,,,,,");
}

TEST(UsagePrinterTest, JsonHasLinesAndTotals) {
  const auto json = nlohmann::json::parse(UsageJson(Sample(kAll), kAll));
  EXPECT_EQ(json["lines"][0]["cost"], 4.0);
  EXPECT_EQ(json["lines"][1]["cost"], nullptr);
  EXPECT_EQ(json["totals"][0]["node_cost"], 6.0);
  EXPECT_EQ(json["totals"][0]["unallocated"], 2.0);
}

TEST(UsagePrinterTest, FocusHasTheMandatoryColumnsAndTheWholeBill) {
  const std::vector<std::string> lines = Lines(UsageFocus(Sample(kAll)));
  ASSERT_EQ(lines.size(), 4u);
  const std::vector<std::string> columns = absl::StrSplit(lines[0], ',');
  for (const char* mandatory :
       {"BilledCost",        "BillingAccountId",   "BillingAccountName", "BillingCurrency",
        "BillingPeriodEnd",  "BillingPeriodStart", "ChargeCategory",     "ChargeClass",
        "ChargeDescription", "ChargePeriodEnd",    "ChargePeriodStart",  "ContractedCost",
        "EffectiveCost",     "InvoiceIssuerName",  "ListCost",           "PricingQuantity",
        "PricingUnit",       "ProviderName",       "PublisherName",      "ServiceCategory",
        "ServiceName"}) {
    EXPECT_THAT(columns, ::testing::Contains(mandatory));
  }
  EXPECT_THAT(lines[1], StartsWith("4,moesaic,Moesaic,USD,2026-02-01T00:00:00Z,"
                                   "2026-01-01T00:00:00Z,Usage,,"));
  EXPECT_THAT(lines[1], HasSubstr("2026-02-01T00:00:00Z,2026-01-31T00:00:00Z,6000,tokens"));
  EXPECT_THAT(lines[1], HasSubstr(R"("{""tenant"":""a, \""b\"""",""model"":""m""}")"));
  EXPECT_THAT(lines[2], StartsWith(",moesaic"));  // unknown, not 0
  // Nobody's: that of its own day, which is in another billing period.
  EXPECT_THAT(lines[3], StartsWith("2,moesaic,Moesaic,USD,2026-03-01T00:00:00Z,"
                                   "2026-02-01T00:00:00Z,Usage,,"));
  EXPECT_THAT(lines[3], HasSubstr("2026-02-02T00:00:00Z,2026-02-01T00:00:00Z,,,"));
}

TEST(UsagePrinterTest, NothingPrintsItsHeader) {
  EXPECT_EQ(Lines(UsageCsv({}, kAll)).size(), 1u);
  EXPECT_EQ(Lines(UsageFocus({})).size(), 1u);
  EXPECT_EQ(Lines(UsageTable({}, kAll)).size(), 1u);
}

}  // namespace
}  // namespace moesaic::services
