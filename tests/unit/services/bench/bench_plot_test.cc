#include "services/cli/bench/bench_plot.h"

#include <algorithm>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace moesaic::services {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

BenchReport Sweep() {
  BenchReport report;
  report.target.model = "a<b&c";
  for (const int clients : {1, 8}) {
    LoadResult result;
    result.stage.concurrency = clients;
    result.wall = absl::Seconds(1);
    result.output_tokens = 10 * clients;
    result.first_token.Add(0.01 * clients);
    report.stages.push_back(std::move(result));
  }
  return report;
}

TEST(BenchPlotTest, HasCurvesAndNames) {
  const std::string svg = BenchPlot(Sweep());
  EXPECT_THAT(svg, testing::StartsWith("<svg "));
  EXPECT_THAT(svg, testing::EndsWith("</svg>\n"));
  EXPECT_THAT(svg, HasSubstr("1 client<"));
  EXPECT_THAT(svg, HasSubstr("8 clients<"));
  EXPECT_THAT(svg, HasSubstr("a&lt;b&amp;c"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
}

TEST(BenchPlotTest, WithoutAnyAnswer) {
  const std::string svg = BenchPlot({});
  EXPECT_THAT(svg, testing::EndsWith("</svg>\n"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

}  // namespace
}  // namespace moesaic::services
