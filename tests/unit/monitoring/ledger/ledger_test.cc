#include "monitoring/ledger/ledger.h"

#include <gtest/gtest.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/unit/monitoring/ledger/sample_rows.h"
#include "tests/unit/monitoring/ledger/scratch_folder.h"

namespace moesaic::monitoring {
namespace {

class LedgerTest : public ::testing::Test {
 protected:
  Ledger::Options Options() const {
    Ledger::Options options;
    options.url = "sqlite:" + folder_.Path("ledger.db");
    options.queue.directory = folder_.Path("queue");
    options.sync_interval = absl::Milliseconds(1);
    options.store_interval = absl::Milliseconds(1);
    options.first_retry = absl::Milliseconds(1);
    options.longest_retry = absl::Milliseconds(5);
    return options;
  }
  std::unique_ptr<Ledger> Start(Ledger::Options options) {
    auto ledger = Ledger::Start(std::move(options), metrics_);
    EXPECT_TRUE(ledger.ok()) << ledger.status();
    return *std::move(ledger);
  }
  double Records(std::string_view outcome) {
    return metrics_.Get(metrics::kLedgerRecordsTotal, {outcome}).Value();
  }
  std::int64_t Stored() {
    const auto store = LedgerStore::Open(Options().url, SqlAccess::kRead);
    if (!store.ok()) return 0;
    std::int64_t requests = 0;
    const auto sums = (*store)->SumUsage(absl::UnixEpoch(), absl::InfiniteFuture());
    for (const UsageSum& sum : *sums) requests += sum.requests;
    return requests;
  }
  template <typename Condition>
  static bool Await(Condition condition) {
    const absl::Time until = absl::Now() + absl::Seconds(20);
    while (!condition() && absl::Now() < until) absl::SleepFor(absl::Milliseconds(2));
    return condition();
  }

  const ScratchFolder folder_;
  Registry metrics_;
};

TEST_F(LedgerTest, RowsReachTheDatabase) {
  const auto ledger = Start(Options());
  ledger->Append(SampleUsage("a", 1));
  ledger->AppendRow(SampleNodeTime("p", 1));
  EXPECT_TRUE(Await([&] { return Stored() == 1; }));
  EXPECT_TRUE(Await([&] { return Records("stored") == 2; }));
  EXPECT_EQ(Records("queued"), 2);
  ledger->Append(SampleUsage("b", 2));
  ledger->Stop(absl::Seconds(10));
  EXPECT_EQ(Stored(), 2);
  EXPECT_EQ(metrics_.Get(metrics::kLedgerQueueRecords).Value(), 0);
}

TEST_F(LedgerTest, WaitsForADatabaseThatIsAway) {
  // A folder where the file should be.
  std::filesystem::create_directory(folder_.Path("ledger.db"));
  const auto ledger = Start(Options());
  for (int i = 0; i < 50; ++i) ledger->Append(SampleUsage(absl::StrCat(i), i));
  EXPECT_TRUE(Await([&] { return metrics_.Get(metrics::kLedgerErrorsTotal).Value() >= 2; }));
  EXPECT_EQ(metrics_.Get(metrics::kLedgerQueueRecords).Value(), 50);
  std::filesystem::remove(folder_.Path("ledger.db"));
  EXPECT_TRUE(Await([&] { return Stored() == 50; }));
  EXPECT_EQ(Records("dropped"), 0);
}

TEST_F(LedgerTest, WhatIsLeftIsStoredByTheNextProcess) {
  std::filesystem::create_directory(folder_.Path("ledger.db"));
  {
    const auto ledger = Start(Options());
    for (int i = 0; i < 20; ++i) ledger->Append(SampleUsage(absl::StrCat(i), i));
  }
  std::filesystem::remove(folder_.Path("ledger.db"));
  const auto ledger = Start(Options());
  ledger->Stop(absl::Seconds(10));
  EXPECT_EQ(Stored(), 20);
}

TEST_F(LedgerTest, AFullQueueDropsAndCounts) {
  std::filesystem::create_directory(folder_.Path("ledger.db"));
  Ledger::Options options = Options();
  options.queue.max_bytes = 5000;
  const auto ledger = Start(options);
  for (int i = 0; i < 20; ++i) ledger->Append(SampleUsage(absl::StrCat(i), i));
  EXPECT_GT(Records("queued"), 2);
  EXPECT_GT(Records("dropped"), 2);
  EXPECT_EQ(Records("queued") + Records("dropped"), 20);
}

TEST_F(LedgerTest, WhatIsNoRowDoesNotBlockTheOthers) {
  {
    const auto queue = RowQueue::Open(Options().queue).value();
    ASSERT_TRUE(queue->Append("not a row").ok());
    ASSERT_TRUE(queue->Append(EncodeRow(SampleUsage("a", 1))).ok());
  }
  const auto ledger = Start(Options());
  EXPECT_TRUE(Await([&] { return Stored() == 1; }));
  EXPECT_EQ(Records("dropped"), 1);
}

TEST_F(LedgerTest, RefusesABadAddress) {
  Ledger::Options options = Options();
  options.url = "ledger.db";
  EXPECT_EQ(Ledger::Start(options, metrics_).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace moesaic::monitoring
