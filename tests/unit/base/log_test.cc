#include "base/log.h"

#include <string>

#include "gtest/gtest.h"

namespace moesaic::base {
namespace {

const absl::Time kTime = absl::FromUnixMillis(1'767'322'983'456);

std::string Line(LogFormat format, std::string_view message,
                 absl::Span<const LogField> fields = {}) {
  return FormatLogLine(format, "moesaic-router", kTime, LogLevel::kInfo, message, fields);
}

TEST(LogTest, TextIsForPeople) {
  EXPECT_EQ(Line(LogFormat::kText, "request done",
                 {{"id", "r-1"}, {"tokens", std::int64_t{7}}, {"cost", 0.5}, {"ok", true}}),
            "2026-01-02T03:03:03.456Z INFO request done id=r-1 tokens=7 cost=0.5 ok=true\n");
}

TEST(LogTest, TextQuotesWhatCouldBeMistaken) {
  EXPECT_EQ(Line(LogFormat::kText, "m", {{"a", ""}, {"b", "x y"}, {"c", "p=q"}, {"d", "\"\n"}}),
            "2026-01-02T03:03:03.456Z INFO m a=\"\" b=\"x y\" c=\"p=q\" d=\"\\\"\\n\"\n");
}

TEST(LogTest, AMessageIsOneLineInText) {
  EXPECT_EQ(Line(LogFormat::kText, "a\n2026 ERROR forged\x1b[31m"),
            "2026-01-02T03:03:03.456Z INFO a\\n2026 ERROR forged\\u001b[31m\n");
}

TEST(LogTest, JsonIsOneObjectALine) {
  EXPECT_EQ(
      Line(LogFormat::kJson, "request \"done\"\n\xFF",
           {{"id", "r-1"}, {"tokens", std::int64_t{-7}}, {"cost", 0.5}, {"ok", false}}),
      "{\"ts\":\"2026-01-02T03:03:03.456Z\",\"level\":\"info\",\"process\":\"moesaic-router\","
      "\"msg\":\"request \\\"done\\\"\\n\xEF\xBF\xBD\",\"id\":\"r-1\",\"tokens\":-7,"
      "\"cost\":0.5,\"ok\":false}\n");
}

TEST(LogTest, LevelsHaveNames) {
  for (const LogLevel level :
       {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError}) {
    EXPECT_EQ(ParseLogLevel(LogLevelName(level)), level);
  }
  for (const char* name : {"", "INFO", "trace", "warn", "info "}) {
    EXPECT_FALSE(ParseLogLevel(name).has_value()) << name;
  }
}

TEST(LogTest, TheLevelDecidesWhatIsWritten) {
  const LogLevel before = CurrentLogLevel();
  testing::internal::CaptureStderr();
  SetLogLevel(LogLevel::kWarning);
  LogInfo("not this");
  LogWarning("but", " this");
  SetLogLevel(LogLevel::kDebug);
  LogDebug("and this");
  SetLogLevel(before);
  const std::string written = testing::internal::GetCapturedStderr();
  EXPECT_EQ(written.find("not this"), std::string::npos);
  EXPECT_NE(written.find(" WARNING but this\n"), std::string::npos);
  EXPECT_NE(written.find(" DEBUG and this\n"), std::string::npos);
}

TEST(LogTest, AFloodOfWarningsIsCutOff) {
  testing::internal::CaptureStderr();
  for (int i = 0; i < 5000; ++i) LogWarning("flood number ", i);
  for (int i = 0; i < 100; ++i) LogInfo("one per request ", i);
  const std::string written = testing::internal::GetCapturedStderr();
  std::size_t lines = 0;
  for (const char c : written) lines += c == '\n';
  EXPECT_GE(lines, 100u + 10u);
  EXPECT_LE(lines, 100u + 40u);  // a window or two more on a very slow machine
}

}  // namespace
}  // namespace moesaic::base
