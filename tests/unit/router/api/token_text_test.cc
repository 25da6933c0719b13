#include "router/api/token_text.h"

#include <memory>

#include "gtest/gtest.h"
#include "tests/unit/router/api/byte_tokenizer.h"

namespace moesaic::router {
namespace {

class TokenTextTest : public testing::Test {
 protected:
  const std::unique_ptr<model::Tokenizer> tokenizer_ = MakeByteTokenizer();
};

TEST_F(TokenTextTest, OrdinaryToken) {
  const TokenText token = DescribeToken(*tokenizer_, 'a');
  EXPECT_EQ(token.text, "a");
  EXPECT_EQ(token.bytes, "a");
  EXPECT_EQ(SpellToken(token), "a");
  EXPECT_EQ(DescribeToken(*tokenizer_, ' ').text, " ");
}

TEST_F(TokenTextTest, PartOfACharacterKeepsItsBytes) {
  const TokenText token = DescribeToken(*tokenizer_, 0xe4);
  EXPECT_EQ(token.text, "\xef\xbf\xbd");
  EXPECT_EQ(token.bytes, "\xe4");
  EXPECT_EQ(SpellToken(token), "bytes:\\xe4");
}

TEST_F(TokenTextTest, ControlTokenIsSpelledOut) {
  EXPECT_EQ(DescribeToken(*tokenizer_, kEndToken).text, "<|end|>");
}

TEST_F(TokenTextTest, UnusedIdIsEmpty) {
  EXPECT_EQ(DescribeToken(*tokenizer_, 100000).text, "");
  EXPECT_EQ(DescribeToken(*tokenizer_, -1).text, "");
}

}  // namespace
}  // namespace moesaic::router
