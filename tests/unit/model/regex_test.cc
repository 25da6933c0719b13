#include "model/regex.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "model/utf8.h"
#include "tests/golden/golden.h"

namespace moesaic::model {
namespace {

std::vector<std::string> Matches(const std::string& pattern, const std::string& text) {
  const auto regex = Regex::Compile(pattern);
  EXPECT_TRUE(regex.ok()) << regex.status();
  std::vector<Span> spans;
  EXPECT_TRUE(Regex::Matcher(*regex).FindAll(text, spans).ok());
  std::vector<std::string> found;
  for (const Span& span : spans) found.push_back(text.substr(span.begin, span.end - span.begin));
  return found;
}

using Strings = std::vector<std::string>;

TEST(Regex, FindsAllMatches) {
  EXPECT_EQ(Matches(R"(\s+(?!\S)|\s+)", "a  b "), (Strings{" ", " ", " "}));
  EXPECT_EQ(Matches(R"(\p{N}{1,3})", "12345"), (Strings{"123", "45"}));
  EXPECT_EQ(Matches("(?i:'s)", "'S 'ſ"), (Strings{"'S", "'ſ"}));
  EXPECT_EQ(Matches("a*", "aab"), (Strings{"aa", ""}));
  EXPECT_EQ(Matches("^b$", "a\nb\nc"), (Strings{"b"}));
  EXPECT_EQ(Matches(R"(\h+)", "xbeef g"), (Strings{"beef"}));
}

TEST(Regex, RefusesWhatWouldMeanSomethingElse) {
  for (const char* pattern : {"[a&&b]", "[a[bc]]", "a{1,2}+", R"([\W])"}) {
    EXPECT_EQ(Regex::Compile(pattern).status().code(), absl::StatusCode::kUnimplemented) << pattern;
  }
  for (const char* pattern : {"(", "[a", "a\\", "*"}) {
    EXPECT_EQ(Regex::Compile(pattern).status().code(), absl::StatusCode::kInvalidArgument)
        << pattern;
  }
}

TEST(Regex, ExponentialPatternsAreStopped) {
  const auto regex = Regex::Compile("(a+)+$");
  ASSERT_TRUE(regex.ok());
  std::vector<Span> spans;
  const std::string text = std::string(64, 'a') + "b";
  EXPECT_EQ(Regex::Matcher(*regex).FindAll(text, spans).code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(Regex, LiteralMatchesItselfOnly) {
  const auto regex = Regex::Literal("a.b*▁");
  ASSERT_TRUE(regex.ok());
  std::vector<Span> spans;
  ASSERT_TRUE(Regex::Matcher(*regex).FindAll("axb a.b*▁", spans).ok());
  EXPECT_EQ(spans, (std::vector<Span>{{4, 11}}));
}

/// Every code point falls into the class if and only if the reference library says so.
TEST(Regex, ClassesAreThoseOfTheReference) {
  for (const std::string name : {"L", "M", "N", "P", "S", "s"}) {
    std::ifstream file(testing::GoldenDir() + "/text/" + name + ".txt");
    ASSERT_TRUE(file.is_open());
    std::vector<bool> expected(0x110000, false);
    for (std::string first, last; file >> first >> last;) {
      const unsigned long end = std::stoul(last, nullptr, 16);
      for (unsigned long c = std::stoul(first, nullptr, 16); c <= end; ++c) expected[c] = true;
    }
    std::string all;
    for (char32_t c = 0; c < 0x110000; ++c) {
      if (c < 0xD800 || c >= 0xE000) AppendUtf8(c, all);
    }
    const std::string escape = name == "s" ? "\\s" : "\\p{" + name + "}";
    for (const std::string& pattern : {escape, "[" + escape + "]"}) {
      const auto regex = Regex::Compile(pattern);
      ASSERT_TRUE(regex.ok()) << regex.status();
      std::vector<Span> spans;
      ASSERT_TRUE(Regex::Matcher(*regex).FindAll(all, spans).ok());
      std::vector<bool> found(0x110000, false);
      for (const Span& span : spans) {
        std::size_t at = span.begin;
        found[NextChar(all, at)] = true;
      }
      EXPECT_TRUE(found == expected) << pattern;
    }
  }
}

}  // namespace
}  // namespace moesaic::model
