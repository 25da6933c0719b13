#include "router/api/text_assembler.h"

#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "tests/unit/router/api/byte_tokenizer.h"

namespace moesaic::router {
namespace {

class TextAssemblerTest : public testing::Test {
 protected:
  const std::unique_ptr<model::Tokenizer> tokenizer_ = MakeByteTokenizer();
};

TEST_F(TextAssemblerTest, CharactersSplitOverTokensComeWhole) {
  TextAssembler text(*tokenizer_, {}, 0);
  EXPECT_EQ(text.Push(0xe4), "");
  EXPECT_EQ(text.Push(0xbd), "");
  EXPECT_EQ(text.Push(0xa0), "\xe4\xbd\xa0");
  EXPECT_EQ(text.Finish(), "");
}

TEST_F(TextAssemblerTest, CharacterLeftUnfinishedIsReplacedAtTheEnd) {
  TextAssembler text(*tokenizer_, {}, 0);
  EXPECT_EQ(text.Push(0xe4), "");
  EXPECT_EQ(text.Finish(), "\xef\xbf\xbd");
}

TEST_F(TextAssemblerTest, StopTextMaySpanTokens) {
  TextAssembler text(*tokenizer_, {"cd"}, 0);
  std::string out;
  for (char c : std::string("abcd")) out += text.Push(c);
  EXPECT_TRUE(text.stopped());
  EXPECT_EQ(out, "ab");
}

TEST_F(TextAssemblerTest, StopTextIsFoundInWhatFinishReleases) {
  TextAssembler text(*tokenizer_, {"\xef\xbf\xbd"}, 0);
  EXPECT_EQ(text.Push('a'), "a");
  EXPECT_EQ(text.Push(0xe4), "");
  EXPECT_EQ(text.Finish(), "");
  EXPECT_TRUE(text.stopped());
}

TEST_F(TextAssemblerTest, MinTokensAreExemptFromStops) {
  TextAssembler text(*tokenizer_, {"a"}, 2);
  EXPECT_EQ(text.Push('a'), "a");
  EXPECT_EQ(text.Push('a'), "a");
  EXPECT_FALSE(text.stopped());
  EXPECT_EQ(text.Push('a'), "");
  EXPECT_TRUE(text.stopped());
}

}  // namespace
}  // namespace moesaic::router
