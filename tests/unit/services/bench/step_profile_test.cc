#include "services/cli/bench/step_profile.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace moesaic::services {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kMetrics = R"(# TYPE moesaic_steps_total counter
moesaic_steps_total{step="prefill"} 2
moesaic_steps_total{step="decode"} 10
moesaic_step_rows_total{step="prefill"} 100
moesaic_step_rows_total{step="decode"} 80
moesaic_step_phase_seconds_total{step="prefill",phase="attention"} 0.25
moesaic_step_phase_seconds_total{step="decode",phase="attention"} 0.5
moesaic_step_phase_seconds_total{phase="expert",step="decode"} 1.5
moesaic_step_phase_seconds_total{step="decode",phase="new"} 0
moesaic_step_phase_seconds_total{step="other",phase="attention"} 7
moesaic_step_phase_seconds_total{step="decode"
moesaic_step_phase_seconds_total{step="decode",phase="gate"} x
moesaic_step_tokens_sum 3
)";

StepCounters Read(std::string_view metrics, double at_s) {
  auto counters = ReadStepCounters(metrics);
  EXPECT_TRUE(counters.ok()) << counters.status();
  counters->at = absl::Seconds(at_s);
  return *std::move(counters);
}

TEST(ReadStepCountersTest, TakesWhatIsThere) {
  StepCounters counters = Read(kMetrics, 0);
  EXPECT_EQ(counters.kinds.size(), 2u);
  EXPECT_EQ(counters.kinds["prefill"].steps, 2);
  EXPECT_EQ(counters.kinds["prefill"].rows, 100);
  EXPECT_EQ(counters.kinds["decode"].phase_s["expert"], 1.5);
  EXPECT_EQ(counters.kinds["decode"].phase_s.count("gate"), 0u);
  EXPECT_EQ(counters.kinds["decode"].total_s(), 2);
}

TEST(ReadStepCountersTest, OtherServersHaveNone) {
  for (const char* metrics :
       {"", "vllm:num_requests_running 1\n", "moesaic_steps_total{step=\"x\"} 1", "moesaic_step",
        "moesaic_step{} ", "} {"}) {
    EXPECT_EQ(ReadStepCounters(metrics).status().code(), absl::StatusCode::kNotFound) << metrics;
  }
}

TEST(ProfileBetweenTest, SubtractsAndLeavesTheRestIdle) {
  StepCounters before = Read(kMetrics, 10);
  StepCounters after = before;
  after.at = absl::Seconds(14);
  after.kinds["decode"].steps = 20;
  after.kinds["decode"].rows = 160;
  after.kinds["decode"].phase_s["expert"] = 2.5;
  after.kinds["decode"].phase_s["new"] = 0.5;
  const auto profile = ProfileBetween(before, after);
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_EQ(profile->wall_s, 4);
  EXPECT_EQ(profile->kinds.at("decode").steps, 10);
  EXPECT_EQ(profile->kinds.at("decode").total_s(), 1.5);
  EXPECT_EQ(profile->idle_s(), 2.5);
  const std::string table = ProfileTable(*profile);
  EXPECT_THAT(table, HasSubstr("of 4.00 s: decode steps 37.5 %, prefill steps 0.0 %, idle 62.5 %"));
  EXPECT_THAT(table, HasSubstr("100000.0    66.7%"));
  EXPECT_THAT(table, HasSubstr("new, µs"));
  EXPECT_THAT(table, testing::Not(HasSubstr("nan")));
  const auto json = ProfileJson(*profile);
  EXPECT_EQ(json["idle_s"], 2.5);
  EXPECT_EQ(json["steps"]["decode"]["phases_s"]["expert"], 1);
  EXPECT_EQ(json["steps"]["prefill"]["steps"], 0);
}

TEST(ProfileBetweenTest, ARestartIsNoticed) {
  StepCounters before = Read(kMetrics, 10);
  StepCounters after = before;
  after.kinds["decode"].steps = 1;
  EXPECT_EQ(ProfileBetween(before, after).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(FetchStepCountersTest, NobodyThere) {
  const auto counters = FetchStepCounters("http://127.0.0.1:1/v1", {});
  EXPECT_EQ(counters.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(counters.status().message(), HasSubstr("http://127.0.0.1:1/metrics"));
}

}  // namespace
}  // namespace moesaic::services
