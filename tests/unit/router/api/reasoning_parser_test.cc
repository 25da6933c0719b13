#include "router/api/reasoning_parser.h"

#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"

namespace moesaic::router {
namespace {

struct Case {
  AnswerPart start;
  std::string_view text;
  std::string_view reasoning;
  std::string_view content;
  bool reasoned;
};

constexpr AnswerPart kUndecided = AnswerPart::kUndecided;
constexpr AnswerPart kReasoning = AnswerPart::kReasoning;
constexpr AnswerPart kContent = AnswerPart::kContent;

constexpr Case kCases[] = {
    // The answer may open the thinking, as its first word.
    {kUndecided, "<think>a</think>b", "a", "b", true},
    {kUndecided, " \n<think>\n\nSay 1.\n</think>\n\nHi </think>", "Say 1.\n", "Hi </think>", true},
    {kUndecided, "<think></think>", "", "", true},
    {kUndecided, "<think>\n\n</think>\n\n4", "", "4", true},
    {kUndecided, "<think>cut off </thin", "cut off </thin", "", true},
    {kUndecided, "<think>", "", "", true},
    {kUndecided, "Well, <think>x</think>", "", "Well, <think>x</think>", false},
    {kUndecided, "<thinking>x", "", "<thinking>x", false},
    {kUndecided, "</think>x", "", "</think>x", false},
    {kUndecided, " \n hi", "", " \n hi", false},
    {kUndecided, "\n<thi", "", "\n<thi", false},
    {kUndecided, " \n ", "", " \n ", false},
    {kUndecided, "", "", "", false},
    // The prompt has opened it.
    {kReasoning, "\nIs 1 < 2?\n</think>\n\nYes: 1 < 2.", "Is 1 < 2?\n", "Yes: 1 < 2.", true},
    {kReasoning, "</think>x", "", "x", true},
    {kReasoning, "a</</think>b", "a</", "b", true},
    {kReasoning, "a</think</think>b", "a</think", "b", true},
    {kReasoning, "\xc3\xa9</think>\r\n\t\xe4\xbd\xa0 ", "\xc3\xa9", "\xe4\xbd\xa0 ", true},
    {kReasoning, "a</think>b</think>c", "a", "b</think>c", true},
    {kReasoning, "a</think>\n \n", "a", "", true},
    {kReasoning, " \n", "", "", true},
    {kReasoning, "a \n", "a \n", "", true},
    {kReasoning, "", "", "", true},
    // Not divided.
    {kContent, " <think>a</think> b", "", " <think>a</think> b", false},
};

/// Feeds the text in pieces that end at `cuts`, and checks after each that nothing was let out that
/// does not belong where it went.
void CheckCut(const Case& c, const std::vector<std::size_t>& cuts) {
  ReasoningParser parser(c.start);
  AnswerText all;
  const auto add = [&](const AnswerText& piece) {
    all.reasoning += piece.reasoning;
    all.content += piece.content;
    ASSERT_TRUE(c.reasoning.starts_with(all.reasoning)) << c.text << " leaks " << all.reasoning;
    ASSERT_TRUE(c.content.starts_with(all.content)) << c.text << " leaks " << all.content;
    ASSERT_TRUE(all.content.empty() || all.reasoning == c.reasoning) << c.text;
  };
  std::size_t begin = 0;
  for (const std::size_t cut : cuts) {
    ASSERT_NO_FATAL_FAILURE(add(parser.Push(c.text.substr(begin, cut - begin))));
    begin = cut;
  }
  ASSERT_NO_FATAL_FAILURE(add(parser.Push(c.text.substr(begin))));
  ASSERT_NO_FATAL_FAILURE(add(parser.Finish()));
  ASSERT_EQ(all.reasoning, c.reasoning) << c.text;
  ASSERT_EQ(all.content, c.content) << c.text;
  ASSERT_EQ(parser.reasoned(), c.reasoned) << c.text;
}

TEST(ReasoningParserTest, DividesTheWholeText) {
  for (const Case& c : kCases) ASSERT_NO_FATAL_FAILURE(CheckCut(c, {}));
}

TEST(ReasoningParserTest, DividesByteByByte) {
  for (const Case& c : kCases) {
    std::vector<std::size_t> cuts;
    for (std::size_t i = 1; i < c.text.size(); ++i) cuts.push_back(i);
    ASSERT_NO_FATAL_FAILURE(CheckCut(c, cuts));
  }
}

TEST(ReasoningParserTest, DividesUnderEveryPairOfCuts) {
  for (const Case& c : kCases) {
    for (std::size_t first = 0; first <= c.text.size(); ++first) {
      for (std::size_t second = first; second <= c.text.size(); ++second) {
        ASSERT_NO_FATAL_FAILURE(CheckCut(c, {first, second}));
      }
    }
  }
}

TEST(ReasoningParserTest, DividesUnderEverySetOfCuts) {
  constexpr Case kShort[] = {{kUndecided, "<think>a</think>b", "a", "b", true},
                             {kReasoning, "\n<</think>\nb", "<", "b", true}};
  for (const Case& c : kShort) {
    for (std::uint32_t set = 0; set < 1u << (c.text.size() - 1); ++set) {
      std::vector<std::size_t> cuts;
      for (std::size_t i = 0; i + 1 < c.text.size(); ++i) {
        if ((set >> i & 1) != 0) cuts.push_back(i + 1);
      }
      ASSERT_NO_FATAL_FAILURE(CheckCut(c, cuts));
    }
  }
}

TEST(ReasoningParserTest, TellsWhereItIs) {
  ReasoningParser parser(kUndecided);
  parser.Push("\n<thi");
  EXPECT_EQ(parser.part(), kUndecided);
  EXPECT_FALSE(parser.reasoned());
  parser.Push("nk>");
  EXPECT_EQ(parser.part(), kReasoning);
  EXPECT_TRUE(parser.reasoned());
  parser.Push("a</think");
  EXPECT_EQ(parser.part(), kReasoning);
  parser.Push(">");
  EXPECT_EQ(parser.part(), kContent);
  EXPECT_TRUE(parser.reasoned());
}

TEST(ReasoningParserTest, ThinkingIsStreamedAsItComes) {
  ReasoningParser parser(kReasoning);
  EXPECT_EQ(parser.Push("one ").reasoning, "one ");
  EXPECT_EQ(parser.Push("two<").reasoning, "two");
  EXPECT_EQ(parser.Push("b").reasoning, "<b");
}

TEST(LeavesThinkingOpenTest, LooksAtTheLastMarker) {
  EXPECT_TRUE(LeavesThinkingOpen("user: hi\nassistant: <think>\n"));
  EXPECT_TRUE(LeavesThinkingOpen("<think>a</think>b<think>"));
  EXPECT_FALSE(LeavesThinkingOpen("assistant: <think>\n\n</think>\n\n"));
  EXPECT_FALSE(LeavesThinkingOpen("assistant: </think>"));
  EXPECT_FALSE(LeavesThinkingOpen("assistant: "));
  EXPECT_FALSE(LeavesThinkingOpen(""));
}

}  // namespace
}  // namespace moesaic::router
