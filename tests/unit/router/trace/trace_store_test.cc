#include "router/trace/trace_store.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"

namespace moesaic::router {
namespace {

class TraceStoreTest : public ::testing::Test {
 protected:
  void Serve(TraceStore& store, const std::string& id, double seconds, double first_token = 0) {
    auto trace = store.Begin({.request_id = id, .arrived = clock_.Monotonic()});
    clock_.Advance(absl::Milliseconds(1));
    monitoring::UsageRecord usage;
    usage.started = clock_.Now();
    usage.finished = usage.started + absl::Seconds(seconds);
    usage.first_token_seconds = first_token;
    store.End(trace, usage, "OK");
  }

  moesaic::testing::FakeClock clock_;
  monitoring::Registry registry_;
};

TEST_F(TraceStoreTest, KeepsTheLastOnesAndTheSlowest) {
  TraceStore store({.recent = 10, .slowest = 2}, registry_, clock_);
  Serve(store, "slow", 100);
  Serve(store, "late", 1, 50);
  for (int i = 0; i < 1000; ++i) Serve(store, absl::StrCat("fast-", i), 0.01 * (i % 7));
  EXPECT_EQ(store.List().size(), 14u);
  EXPECT_NE(store.Find("slow"), nullptr);
  EXPECT_NE(store.Find("late"), nullptr);
  EXPECT_NE(store.Find("fast-999"), nullptr);
  EXPECT_EQ(store.Find("fast-5"), nullptr);
  EXPECT_EQ(store.List()[0]->request().request_id, "fast-999");
  EXPECT_EQ(registry_.Get(monitoring::metrics::kTracesTotal).Value(), 1002);
}

TEST_F(TraceStoreTest, SlownessIsForgottenInTime) {
  TraceStore store({.recent = 10, .slowest = 2}, registry_, clock_);
  Serve(store, "slow", 100);
  clock_.Advance(absl::Minutes(11));
  for (int i = 0; i < 100; ++i) Serve(store, absl::StrCat("fast-", i), 0.01);
  EXPECT_EQ(store.Find("slow"), nullptr);
}

TEST_F(TraceStoreTest, IsBoundedInBytes) {
  TraceStore store({.max_bytes = 20'000}, registry_, clock_);
  for (int i = 0; i < 1000; ++i) Serve(store, absl::StrCat("r-", i), 100);
  std::size_t bytes = 0;
  for (const auto& trace : store.List()) bytes += trace->bytes();
  EXPECT_LE(bytes, 20'000u);
  EXPECT_NE(store.Find("r-999"), nullptr);
}

TEST_F(TraceStoreTest, FindsRunningOnesAndByTraceId) {
  TraceStore store({}, registry_, clock_);
  TracedRequest request{.request_id = "r", .arrived = clock_.Monotonic()};
  request.context.trace_id[15] = 7;
  auto trace = store.Begin(request);
  EXPECT_EQ(store.Find("r"), trace);
  EXPECT_EQ(store.Find("00000000000000000000000000000007"), trace);
  EXPECT_EQ(store.Find("nobody"), nullptr);
  EXPECT_EQ(store.Find(""), nullptr);
  clock_.Advance(absl::Seconds(1));
  request.arrived = clock_.Monotonic();
  const auto later = store.Begin(request);
  EXPECT_EQ(store.Find("r"), later);  // clients choose ids: the last one counts
}

TEST_F(TraceStoreTest, CanBeOff) {
  TraceStore store({.max_bytes = 0}, registry_, clock_);
  const auto trace = store.Begin({.request_id = "r"});
  EXPECT_EQ(trace, nullptr);
  store.End(trace, {}, "OK");
  EXPECT_TRUE(store.List().empty());
}

}  // namespace
}  // namespace moesaic::router
