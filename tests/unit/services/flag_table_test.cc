#include "services/flags/flag_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>

namespace moesaic::services {
namespace {

using ::testing::ElementsAre;

struct Flags {
  int count = 1;
  bool loud = false;
  std::uint64_t cache_bytes = 0;
  std::string name = "none";
};

void Declare(FlagTable& table, Flags& flags) {
  table.Add("count", flags.count, "A number");
  table.AddSwitch("loud", flags.loud, "A switch");
  table.AddBytes("cache-bytes", flags.cache_bytes, "A size");
  table.Add("name", flags.name, "A text");
}

TEST(FlagTableTest, AListWithoutElementsInAFileIsAnError) {
  for (const char* lines : {"name=[\v]\n", "count=[\v]\n"}) {
    CLI::App app;
    FlagTable table(app);
    Flags flags;
    Declare(table, flags);
    std::istringstream file{std::string(lines)};
    EXPECT_THROW(app.parse_from_stream(file), CLI::Error) << lines;
  }
}

TEST(FlagTableTest, FlagBeatsEnvironmentBeatsDefault) {
  CLI::App app;
  FlagTable table(app);
  Flags flags;
  Declare(table, flags);
  ::setenv("MOESAIC_COUNT", "5", 1);
  ::setenv("MOESAIC_CACHE_BYTES", "2KiB", 1);
  app.parse("--count=7");
  ::unsetenv("MOESAIC_COUNT");
  ::unsetenv("MOESAIC_CACHE_BYTES");
  EXPECT_EQ(flags.count, 7);
  EXPECT_EQ(flags.cache_bytes, 2048u);
  EXPECT_EQ(flags.name, "none");
}

TEST(FlagTableTest, TheLastOfARepeatedFlagCounts) {
  CLI::App app;
  FlagTable table(app);
  Flags flags;
  Declare(table, flags);
  app.parse("--name=a --name=b");
  EXPECT_EQ(flags.name, "b");
}

TEST(FlagTableTest, UnknownFlagsAndBadValuesAreErrors) {
  for (const char* line : {"--nope=1", "--count=many", "--cache-bytes=1parsec"}) {
    CLI::App app;
    FlagTable table(app);
    Flags flags;
    Declare(table, flags);
    EXPECT_THROW(app.parse(line), CLI::ParseError) << line;
  }
}

TEST(FlagTableTest, GivenFlagsAreForwardedByEveryTableThatSharesThem) {
  CLI::App app;
  FlagTable first(app), second(app);
  Flags flags, same;
  Declare(first, flags);
  second.Add("name", same.name, "A text");
  app.parse("--loud --cache-bytes=1GiB --name=x");
  EXPECT_THAT(first.Given(), ElementsAre("--loud=true", "--cache-bytes=1073741824", "--name=x"));
  EXPECT_THAT(second.Given(), ElementsAre("--name=x"));
}

}  // namespace
}  // namespace moesaic::services
