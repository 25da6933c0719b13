#include "placement/view/load_report.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/placement/placement_fixture.h"

namespace moesaic::placement {
namespace {

using ::testing::HasSubstr;

LoadReport Report() {
  LoadReport report;
  report.window = absl::Seconds(2);
  report.calls = 40;
  report.units = {{.number = 0, .rows = 12, .experts = 7}, {.number = 5, .rows = 3, .experts = 3}};
  report.shards = {{.id = base::ShardId(4),
                    .dispatches = 9,
                    .rows = 80,
                    .round_trip = absl::Microseconds(900),
                    .queue_wait = absl::Microseconds(50),
                    .compute = absl::Microseconds(400)}};
  report.router = {.generated_tokens = 70,
                   .prompt_tokens = 900,
                   .waiting = 2,
                   .running = 3,
                   .kv_usage = 0.5,
                   .busy_seconds = 1.25,
                   .capacity_tokens_per_s = 120,
                   .bottleneck = "router compute",
                   .hedges = 1,
                   .retried_units = 4,
                   .ttft_p50_ms = 20,
                   .ttft_p95_ms = 30,
                   .itl_p50_ms = 5,
                   .itl_p95_ms = 6,
                   .tenants = {{.tenant = "a",
                                .requests = 2,
                                .prompt_tokens = 10,
                                .cached_prompt_tokens = 4,
                                .generated_tokens = 6,
                                .cost = 0.25,
                                .unpriced = true}}};
  return report;
}

TEST(LoadReport, SurvivesTheWire) {
  EXPECT_EQ(*LoadReportFromProto(LoadReportToProto(Report()), TestTopology()), Report());
}

TEST(LoadReport, RefusesWhatContradictsItselfOrTheModel) {
  const auto error = [](auto spoil) {
    v1::LoadReport proto = LoadReportToProto(Report());
    spoil(proto);
    return std::string(LoadReportFromProto(proto, TestTopology()).status().message());
  };
  EXPECT_THAT(error([](auto& p) { p.add_rows(1); }), HasSubstr("2 units, 3 rows"));
  EXPECT_THAT(error([](auto& p) { p.set_units(1, 6); }), HasSubstr("unit 6"));
  EXPECT_THAT(error([](auto& p) { p.set_units(1, 0); }), HasSubstr("out of order"));
  EXPECT_THAT(error([](auto& p) { p.mutable_router()->set_busy_seconds(-1); }),
              HasSubstr("negative"));
  EXPECT_THAT(error([](auto& p) { p.mutable_router()->mutable_tenants(0)->set_cost(0.0 / 0.0); }),
              HasSubstr("negative"));
  EXPECT_THAT(error([](auto& p) {
                for (int i = 0; i < 1100; ++i) p.mutable_router()->add_tenants();
              }),
              HasSubstr("1101 tenants"));
}

}  // namespace
}  // namespace moesaic::placement
