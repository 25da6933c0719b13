#include "router/trace/request_list.h"

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"

namespace moesaic::router {
namespace {

class RequestListTest : public ::testing::Test {
 protected:
  RequestListTest() {
    Serve("a", "t1", 3, 0.1);
    Serve("b", "t2", 1, 0.9);
    Serve("c", "t1", 2, 0.5);
    Begin("d", "t2");
    clock_.Advance(absl::Milliseconds(500));
  }

  std::shared_ptr<RequestTrace> Begin(const std::string& id, const std::string& tenant) {
    clock_.Advance(absl::Milliseconds(1));
    return store_.Begin({.request_id = id, .tenant = tenant, .arrived = clock_.Monotonic()});
  }
  void Serve(const std::string& id, const std::string& tenant, double seconds, double ttft) {
    monitoring::UsageRecord usage;
    usage.finished = usage.started + absl::Seconds(seconds);
    usage.first_token_seconds = ttft;
    store_.End(Begin(id, tenant), usage, "OK");
  }
  std::string Ids(const std::string& query) {
    const auto parsed = ParseRequestQuery(query);
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    std::string ids;
    const auto json = nlohmann::json::parse(RequestList(store_, *parsed, clock_.Monotonic()));
    for (const auto& row : json["requests"]) ids += row["request_id"];
    return ids;
  }

  moesaic::testing::FakeClock clock_;
  monitoring::Registry registry_;
  TraceStore store_{{}, registry_, clock_};
};

TEST_F(RequestListTest, OrdersAndFilters) {
  EXPECT_EQ(Ids(""), "dcba");
  EXPECT_EQ(Ids("limit=2"), "dc");
  EXPECT_EQ(Ids("slowest=3"), "acb");
  EXPECT_EQ(Ids("slowest_ttft=2"), "bc");
  EXPECT_EQ(Ids("min_ttft_ms=500"), "cb");
  EXPECT_EQ(Ids("min_ms=1500&slowest=9"), "ac");
  EXPECT_EQ(Ids("tenant=t1"), "ca");
  EXPECT_EQ(Ids("outcome=running"), "d");
  EXPECT_EQ(Ids("outcome=ok&tenant=t2"), "b");
}

TEST_F(RequestListTest, WhatItDoesNotKnowIsAnError) {
  for (const char* query :
       {"slow=1", "slowest", "slowest=", "slowest=0", "slowest=1001", "slowest=x", "limit=-1",
        "min_ms=", "min_ms=-1", "min_ttft_ms=nan", "=", "limit=99999999999999999999"}) {
    EXPECT_EQ(ParseRequestQuery(query).status().code(), absl::StatusCode::kInvalidArgument)
        << query;
  }
}

TEST_F(RequestListTest, AnyQueryIsReadOrRefused) {
  std::mt19937 random(5);
  const std::vector<std::string> parts = {"slowest", "limit", "min_ms", "=",       "&", "tenant",
                                          "1",       "\xff",  "1e400",  "outcome", "-", "%41"};
  for (int round = 0; round < 20'000; ++round) {
    std::string query;
    for (int i = random() % 8; i > 0; --i) query += parts[random() % parts.size()];
    const auto parsed = ParseRequestQuery(query);
    if (parsed.ok()) {
      EXPECT_GE(parsed->limit, 1);
      EXPECT_LE(parsed->limit, 1000);
      EXPECT_GE(parsed->min_duration_seconds, 0);
    }
  }
}

}  // namespace
}  // namespace moesaic::router
