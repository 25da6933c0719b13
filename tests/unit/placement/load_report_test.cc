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
}

}  // namespace
}  // namespace moesaic::placement
