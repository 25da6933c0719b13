#include "monitoring/ledger/ledger_store.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "monitoring/ledger/ledger_schema.h"
#include "tests/unit/monitoring/ledger/sample_rows.h"
#include "tests/unit/monitoring/ledger/scratch_folder.h"

namespace moesaic::monitoring {
namespace {

/// The same tests on SQLite and, when MOESAIC_TEST_POSTGRES names an empty database that may be
/// filled (tests/integration/test_ledger.py starts one), on PostgreSQL.
class LedgerStoreTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (std::string_view(GetParam()) == "sqlite") {
      url_ = "sqlite:" + folder_.Path("ledger.db");
      return;
    }
    const char* server = std::getenv("MOESAIC_TEST_POSTGRES");
    if (server == nullptr) GTEST_SKIP() << "MOESAIC_TEST_POSTGRES names no database";
    url_ = server;
    auto database = OpenSqlDatabase(url_, SqlAccess::kReadWrite);
    ASSERT_TRUE(database.ok()) << database.status();
    for (const char* table : {"usage", "node_time", "ledger_versions"}) {
      ASSERT_TRUE((*database)->Execute(absl::StrCat("DROP TABLE IF EXISTS ", table)).ok());
    }
  }

  std::unique_ptr<LedgerStore> Open(SqlAccess access = SqlAccess::kReadWrite) {
    auto store = LedgerStore::Open(url_, access);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  std::vector<SqlRow> Query(const std::string& statement) {
    return OpenSqlDatabase(url_, SqlAccess::kRead).value()->Execute(statement).value();
  }

  const ScratchFolder folder_;
  std::string url_;
};

TEST_P(LedgerStoreTest, ARowIsThereOnce) {
  std::vector<LedgerRow> rows;
  for (int i = 0; i < 120; ++i) rows.push_back(SampleUsage(absl::StrCat("id/", i), i));
  rows.push_back(SampleNodeTime("p/1", 1));
  ASSERT_TRUE(Open()->Store(rows).ok());
  rows.push_back(SampleUsage("id/new", 1));
  rows.push_back(SampleUsage("id/new", 2));  // twice in one batch
  const absl::Status status = Open()->Store(rows);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(std::get<std::int64_t>(Query("SELECT COUNT(*) FROM usage")[0][0]), 121);
  EXPECT_EQ(std::get<std::int64_t>(Query("SELECT COUNT(*) FROM node_time")[0][0]), 1);
}

TEST_P(LedgerStoreTest, KeepsEveryColumn) {
  UsageRecord usage = SampleUsage("it's \"; DROP TABLE usage; -- \u00e9", 9);
  ASSERT_TRUE(Open()->Store({usage}).ok());
  const SqlRow row = Query(
      "SELECT id, trace_id, day, finished_us, outcome, first_token_seconds, decode_cost, "
      "prompt_tokens FROM usage")[0];
  EXPECT_EQ(std::get<std::string>(row[0]), usage.id);
  EXPECT_EQ(std::get<std::string>(row[1]), usage.trace_id);
  EXPECT_EQ(std::get<std::string>(row[2]), "2026-01-02");
  EXPECT_EQ(std::get<std::int64_t>(row[3]), absl::ToUnixMicros(usage.finished));
  EXPECT_EQ(std::get<std::string>(row[4]), "ok");
  EXPECT_TRUE(std::holds_alternative<std::monostate>(row[5]));
  EXPECT_EQ(std::get<double>(row[6]), 0.0007);
  EXPECT_EQ(std::get<std::int64_t>(row[7]), 109);
}

TEST_P(LedgerStoreTest, SumsByDayTenantAndModel) {
  std::vector<LedgerRow> rows;
  for (int i = 0; i < 10; ++i) rows.push_back(SampleUsage(absl::StrCat(i), i));
  rows.push_back(SampleUsage("next day", 86400));
  NodeTime time = SampleNodeTime("p/1", 1);
  rows.push_back(time);
  time.id = "p/2";
  time.cost = std::nullopt;
  time.currency = "";
  rows.push_back(time);
  ASSERT_TRUE(Open()->Store(rows).ok());
  const auto store = Open(SqlAccess::kRead);
  const absl::Time start = absl::FromUnixSeconds(1767312000);
  const std::vector<UsageSum> sums = store->SumUsage(start, start + absl::Hours(24)).value();
  ASSERT_EQ(sums.size(), 2u);
  EXPECT_EQ(sums[0].tenant, "t1");
  EXPECT_EQ(sums[0].requests, 5);
  EXPECT_EQ(sums[0].failed, 1);
  EXPECT_EQ(sums[0].prompt_tokens, 525);
  EXPECT_EQ(sums[0].generated_tokens, 100);
  EXPECT_DOUBLE_EQ(sums[0].prefill_machine_seconds, 1.5);
  EXPECT_DOUBLE_EQ(sums[0].decode_cost, 0.0035);
  EXPECT_EQ(store->SumUsage(start, absl::InfiniteFuture()).value().size(), 3u);
  const std::vector<NodeTimeSum> nodes = store->SumNodeTime(start, start + absl::Hours(24)).value();
  ASSERT_EQ(nodes.size(), 2u);  // with and without a price
  EXPECT_EQ(nodes[0].cost, 0);
  EXPECT_EQ(nodes[0].unpriced_seconds, 10);
  EXPECT_EQ(nodes[1].cost, 0.02);
  EXPECT_EQ(nodes[1].busy_cost, 0.01);
}

TEST_P(LedgerStoreTest, AnOldLedgerIsBroughtUpToDate) {
  {
    const auto database = OpenSqlDatabase(url_, SqlAccess::kReadWrite).value();
    EXPECT_EQ(ReadLedgerVersion(*database).value(), 0);
    ASSERT_TRUE(MigrateLedgerTo(*database, 1).ok());
    EXPECT_EQ(ReadLedgerVersion(*database).value(), 1);
    const absl::StatusOr<std::vector<SqlRow>> old = database->Execute(
        "INSERT INTO usage VALUES ('old', 't1', 'm', 'r', '/e', 'ok', '2026-01-02', 1, "
        "1767312001000000, 5, 0, 7, 0, 0, 0, NULL, 0, 0, 0, 0.5, 0, 0, 0, 0.25, 'USD')");
    ASSERT_TRUE(old.ok()) << old.status();
  }
  EXPECT_EQ(LedgerStore::Open(url_, SqlAccess::kRead).status().code(),
            absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(Open()->Store({SampleUsage("old", 1), SampleUsage("new", 1)}).ok());
  const auto sums =
      Open(SqlAccess::kRead)->SumUsage(absl::UnixEpoch(), absl::InfiniteFuture()).value();
  ASSERT_EQ(sums.size(), 1u);
  EXPECT_EQ(sums[0].requests, 2);
  EXPECT_DOUBLE_EQ(sums[0].prefill_cost, 0.5 + 0.0003);
  EXPECT_EQ(std::get<std::string>(Query("SELECT trace_id FROM usage WHERE id = 'old'")[0][0]), "");
}

TEST_P(LedgerStoreTest, ANewerLedgerIsLeftAlone) {
  Open();
  ASSERT_TRUE(OpenSqlDatabase(url_, SqlAccess::kReadWrite)
                  .value()
                  ->Execute("INSERT INTO ledger_versions (version) VALUES ($1)",
                            {SqlValue(kLedgerVersion + 1)})
                  .ok());
  for (const SqlAccess access : {SqlAccess::kReadWrite, SqlAccess::kRead}) {
    EXPECT_EQ(LedgerStore::Open(url_, access).status().code(),
              absl::StatusCode::kFailedPrecondition);
  }
}

TEST_P(LedgerStoreTest, SeveralProcessesMayBeginAtOnce) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this, i] {
      const auto store = LedgerStore::Open(url_, SqlAccess::kReadWrite);
      ASSERT_TRUE(store.ok()) << store.status();
      for (int j = 0; j < 5; ++j) {
        // Each row comes from two of them.
        const absl::Status status = (*store)->Store({SampleUsage(absl::StrCat(i / 2, "/", j), j)});
        EXPECT_TRUE(status.ok()) << status;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::get<std::int64_t>(Query("SELECT COUNT(*) FROM usage")[0][0]), 10);
}

TEST_P(LedgerStoreTest, AReaderDoesNotWrite) {
  Open();
  if (std::string_view(GetParam()) == "postgres") {
    EXPECT_FALSE(Open(SqlAccess::kRead)->Store({SampleUsage("a", 1)}).ok());
  } else {
    EXPECT_EQ(LedgerStore::Open("sqlite:" + folder_.Path("none"), SqlAccess::kRead).status().code(),
              absl::StatusCode::kNotFound);
  }
}

INSTANTIATE_TEST_SUITE_P(Databases, LedgerStoreTest, ::testing::Values("sqlite", "postgres"),
                         [](const auto& info) { return std::string(info.param); });

TEST(SqlDatabaseTest, AddressesAreCheckedAndPasswordsNotShown) {
  EXPECT_TRUE(CheckLedgerUrl("sqlite:/a/b.db").ok());
  EXPECT_TRUE(CheckLedgerUrl("postgresql://u:p@h:1/db?sslmode=require").ok());
  EXPECT_TRUE(CheckLedgerUrl("postgres://h/db").ok());
  for (const char* url : {"", "sqlite:", "/a/b.db", "mysql://h", "postgresql://h:p%/x%zz"}) {
    const absl::Status status = CheckLedgerUrl(url);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << url;
    EXPECT_EQ(status.message().find("p%"), absl::string_view::npos) << status;
  }
  EXPECT_EQ(WithoutPassword("postgresql://u:se/c@ret@h:1/db?password=x"),
            "postgresql://u:***@h:1/db");
  EXPECT_EQ(WithoutPassword("postgresql://u:secret@h/db"), "postgresql://u:***@h/db");
  EXPECT_EQ(WithoutPassword("postgresql://h:5432/db"), "postgresql://h:5432/db");
  EXPECT_EQ(WithoutPassword("sqlite:/a"), "sqlite:/a");
}

}  // namespace
}  // namespace moesaic::monitoring
