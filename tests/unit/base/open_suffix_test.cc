#include "base/open_suffix.h"

#include "gtest/gtest.h"

namespace moesaic::base {
namespace {

TEST(OpenSuffixTest, IsTheLongestEndThatBeginsThePattern) {
  EXPECT_EQ(OpenSuffix("", "abc"), 0u);
  EXPECT_EQ(OpenSuffix("xab", "abc"), 2u);
  EXPECT_EQ(OpenSuffix("a", "abc"), 1u);
  EXPECT_EQ(OpenSuffix("abx", "abc"), 0u);
  EXPECT_EQ(OpenSuffix("aaa", "aab"), 2u);
}

TEST(OpenSuffixTest, TheWholePatternIsNoProperBeginning) {
  EXPECT_EQ(OpenSuffix("abc", "abc"), 0u);
  EXPECT_EQ(OpenSuffix("aa", "aa"), 1u);
  EXPECT_EQ(OpenSuffix("a", "a"), 0u);
  EXPECT_EQ(OpenSuffix("a", ""), 0u);
}

}  // namespace
}  // namespace moesaic::base
