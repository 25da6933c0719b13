#include "monitoring/ledger/ledger_row.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/unit/monitoring/ledger/sample_rows.h"

namespace moesaic::monitoring {
namespace {

TEST(LedgerRowTest, ReadsBackWhatItWrote) {
  const UsageRecord usage = SampleUsage("a/1", 7);
  const auto again = std::get<UsageRecord>(DecodeRow(EncodeRow(usage)).value());
  EXPECT_EQ(EncodeRow(again), EncodeRow(usage));
  EXPECT_EQ(again.id, "a/1");
  EXPECT_EQ(again.tenant, usage.tenant);
  EXPECT_EQ(again.finished, usage.finished);
  EXPECT_EQ(again.outcome, RequestOutcome::kCancelled);
  EXPECT_EQ(again.first_token_seconds, usage.first_token_seconds);
  EXPECT_EQ(again.decode.cost, usage.decode.cost);

  NodeTime time = SampleNodeTime("p/1", 3);
  EXPECT_EQ(EncodeRow(DecodeRow(EncodeRow(time)).value()), EncodeRow(time));
  time.cost = std::nullopt;  // unknown stays unknown
  EXPECT_EQ(std::get<NodeTime>(DecodeRow(EncodeRow(time)).value()).cost, std::nullopt);
}

TEST(LedgerRowTest, NothingThatADatabaseWouldRefuse) {
  UsageRecord usage = SampleUsage("a", 1);
  usage.tenant = std::string("x\0y\xff\x01", 5);
  usage.decode_seconds = std::numeric_limits<double>::quiet_NaN();
  usage.decode.cost = std::numeric_limits<double>::infinity();
  const auto again = std::get<UsageRecord>(DecodeRow(EncodeRow(usage)).value());
  EXPECT_EQ(again.tenant, "x?y\xef\xbf\xbd?");
  EXPECT_EQ(again.decode_seconds, 0);
  EXPECT_EQ(again.decode.cost, 0);
}

TEST(LedgerRowTest, OtherTextIsNoRow) {
  for (const char* text : {"", "{", "[]", "{}", R"({"row": "usage"})", R"({"row": "x", "id": "a"})",
                           R"({"row": "usage", "id": 1})"}) {
    EXPECT_FALSE(DecodeRow(text).has_value()) << text;
  }
  EXPECT_TRUE(DecodeRow(R"({"row": "usage", "id": "a", "of a newer version": 1})").has_value());
}

}  // namespace
}  // namespace moesaic::monitoring
