#include "services/cli/bench/bench_report.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace moesaic::services {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

BenchReport MakeReport() {
  LoadResult result;
  result.stage.concurrency = 8;
  result.sent = 4;
  result.ok = 3;
  result.failed = 1;
  result.failures["http_429"] = {1, "HTTP 429: the queue is full"};
  result.wall = absl::Seconds(2);
  result.generator_cpu_s = 0.02;
  result.prompt_tokens = 192;
  result.output_tokens = 96;
  for (const double seconds : {0.1, 0.2, 0.3}) result.first_token.Add(seconds);
  return {.started = "2026-01-31T12:00:00Z",
          .version = "moesaic 1",
          .target = {.base_url = "http://x/v1", .model = "m"},
          .prompt_length = "64",
          .output_length = "32",
          .stages = {result}};
}

TEST(BenchReportTest, Names) {
  EXPECT_EQ(StageName({.concurrency = 1}), "1 client");
  EXPECT_EQ(StageName({.concurrency = 8}), "8 clients");
  EXPECT_EQ(StageName({.arrivals = Arrivals::Options{.rate = 2.5}}), "2.5/s");
  EXPECT_EQ(StageName({.arrivals = Arrivals::Options{.rate = 2, .burst = 8}}), "2/s by 8");
}

TEST(BenchReportTest, Table) {
  const std::string table = BenchTable(MakeReport());
  EXPECT_THAT(table, HasSubstr("http://x/v1/completions, model m"));
  EXPECT_THAT(table,
              HasSubstr("8 clients        3      1     2.00      1.50        96.0         48.0"
                        "      1.0 %"));
  EXPECT_THAT(table,
              HasSubstr("first token          200.0     300.0     300.0     300.0     200.0"));
  EXPECT_THAT(table, HasSubstr("8 clients: 1 × http_429: HTTP 429: the queue is full"));
  // Of what there were no samples, nothing is said.
  EXPECT_THAT(table, Not(HasSubstr("between chunks")));
  EXPECT_THAT(table, Not(HasSubstr("usage")));
}

TEST(BenchReportTest, TableOfFailuresAlone) {
  BenchReport report = MakeReport();
  report.stages[0].ok = 0;
  report.stages[0].wall = absl::ZeroDuration();
  report.stages[0].interrupted = true;
  report.stages[0].given_up = 5;
  const std::string table = BenchTable(report);
  EXPECT_THAT(table, Not(HasSubstr("latency")));
  EXPECT_THAT(table, Not(HasSubstr("nan")));
  EXPECT_THAT(table, HasSubstr("interrupted with 5 requests under way"));
}

TEST(BenchReportTest, Json) {
  const auto json = BenchJson(MakeReport());
  EXPECT_EQ(json["url"], "http://x/v1");
  ASSERT_EQ(json["stages"].size(), 1u);
  const auto& stage = json["stages"][0];
  EXPECT_EQ(stage["mode"], "closed");
  EXPECT_EQ(stage["concurrency"], 8);
  EXPECT_EQ(stage["requests_ok"], 3);
  EXPECT_EQ(stage["failures"]["http_429"]["count"], 1);
  EXPECT_EQ(stage["output_tokens_per_s"], 48);
  EXPECT_FLOAT_EQ(stage["time_to_first_token_s"]["p50"].get<float>(), 0.2f);
  EXPECT_TRUE(stage["end_to_end_s"]["p50"].is_null()) << "unknown is not 0";
  EXPECT_FALSE(stage.contains("sent_late_s"));
}

TEST(BenchReportTest, JsonOfAnOpenLoop) {
  BenchReport report = MakeReport();
  report.stages[0].stage.arrivals = {.rate = 2.5, .burst = 4};
  const auto stage = BenchJson(report)["stages"][0];
  EXPECT_EQ(stage["mode"], "open");
  EXPECT_EQ(stage["rate"], 2.5);
  EXPECT_EQ(stage["burst"], 4);
  EXPECT_FALSE(stage.contains("concurrency"));
}

}  // namespace
}  // namespace moesaic::services
