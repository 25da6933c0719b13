#include "router/api/stop_matcher.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace moesaic::router {
namespace {

/// The text that comes out when `text` is fed in pieces of `piece` bytes.
std::string Matched(const std::vector<std::string>& stops, const std::string& text,
                    std::size_t piece) {
  StopMatcher matcher(stops);
  std::string out;
  for (std::size_t i = 0; i < text.size() && !matcher.matched(); i += piece) {
    out += matcher.Push(text.substr(i, piece));
  }
  return matcher.matched() ? out + "|" : out + matcher.Finish();
}

TEST(StopMatcherTest, ResultDoesNotDependOnTheCut) {
  const struct {
    std::vector<std::string> stops;
    std::string text;
    std::string expected;  // '|' where it stopped
  } cases[] = {
      {{}, "anything", "anything"},
      {{"stop"}, "no match here, sto", "no match here, sto"},
      {{"stop"}, "go stop now", "go |"},
      {{"stop"}, "ststop", "st|"},
      {{"aab"}, "aaab", "a|"},
      {{"abab", "bb"}, "xababb", "x|"},
      {{"\n\n"}, "a\nb\n\nc", "a\nb|"},
      {{"b", "abc"}, "xabc", "xa|"},  // "b" is complete first
      {{"c", "abc"}, "xabc", "x|"},   // both at once: the longer one
      {{"é"}, "caf\xc3\xa9 au lait", "caf|"},
  };
  for (const auto& c : cases) {
    for (std::size_t piece = 1; piece <= c.text.size(); ++piece) {
      EXPECT_EQ(Matched(c.stops, c.text, piece), c.expected) << c.text << " by " << piece;
    }
  }
}

TEST(StopMatcherTest, HoldsBackOnlyWhatMayBeginAStop) {
  StopMatcher matcher({"</s>"});
  EXPECT_EQ(matcher.Push("a<b</"), "a<b");
  EXPECT_EQ(matcher.Push("x"), "</x");
  EXPECT_EQ(matcher.Push("</"), "");
  EXPECT_EQ(matcher.Finish(), "</");
}

TEST(StopMatcherTest, NothingComesOutBehindAMatch) {
  StopMatcher matcher({"."});
  EXPECT_EQ(matcher.Push("one. two"), "one");
  EXPECT_TRUE(matcher.matched());
  EXPECT_EQ(matcher.Push("three"), "");
  EXPECT_EQ(matcher.Finish(), "");
}

}  // namespace
}  // namespace moesaic::router
