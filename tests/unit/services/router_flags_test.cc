#include "services/flags/router_flags.h"

#include <gtest/gtest.h>

#include <string>

namespace moesaic::services {
namespace {

/// The options of a command line that is right but for what is appended to it.
router::RouterOptions Parse(const std::string& arguments) {
  CLI::App app;
  FlagTable table(app);
  RouterFlags flags;
  flags.Declare(table);
  app.parse("--model=/m " + arguments);
  auto options = flags.Resolve();
  EXPECT_TRUE(options.ok()) << options.status();
  return options.ok() ? *options : router::RouterOptions();
}

TEST(RouterFlagsTest, DegradedModeIsOffUnlessAskedFor) {
  EXPECT_EQ(Parse("").degraded_after, absl::InfiniteDuration());
  EXPECT_EQ(Parse("--degraded=none --degraded-after-ms=5").degraded_after,
            absl::InfiniteDuration());
  EXPECT_EQ(Parse("--degraded=renormalize").degraded_after, absl::Seconds(1));
  EXPECT_EQ(Parse("--degraded=renormalize --degraded-after-ms=250").degraded_after,
            absl::Milliseconds(250));
}

TEST(RouterFlagsTest, ANodeIsOnDemandAndOursAloneUnlessSaid) {
  EXPECT_EQ(Parse("").node_share, (monitoring::NodeShare{}));
  EXPECT_EQ(
      Parse("--price-class=m7i.large --capacity-type=spot --node-share=0.25").node_share,
      (monitoring::NodeShare{.price_class = "m7i.large", .capacity_type = "spot", .share = 0.25}));
}

TEST(RouterFlagsTest, ValuesOutOfRangeAreErrors) {
  for (const char* line :
       {"--degraded=drop", "--degraded-after-ms=-1", "--reasoning-parser=maybe", "--max-queue=-1",
        "--node-share=0", "--node-share=1.1", "--capacity-type=free"}) {
    CLI::App app;
    FlagTable table(app);
    RouterFlags flags;
    flags.Declare(table);
    EXPECT_THROW(app.parse(line), CLI::ParseError) << line;
  }
}

}  // namespace
}  // namespace moesaic::services
