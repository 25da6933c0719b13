#include "router/api/text_assembler.h"

#include <memory>
#include <string>
#include <string_view>

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
  EXPECT_EQ(text.Push(0xe4).content, "");
  EXPECT_EQ(text.Push(0xbd).content, "");
  EXPECT_EQ(text.Push(0xa0).content, "\xe4\xbd\xa0");
  EXPECT_EQ(text.Finish().content, "");
}

TEST_F(TextAssemblerTest, CharacterLeftUnfinishedIsReplacedAtTheEnd) {
  TextAssembler text(*tokenizer_, {}, 0);
  EXPECT_EQ(text.Push(0xe4).content, "");
  EXPECT_EQ(text.Finish().content, "\xef\xbf\xbd");
}

TEST_F(TextAssemblerTest, StopTextMaySpanTokens) {
  TextAssembler text(*tokenizer_, {"cd"}, 0);
  std::string out;
  for (char c : std::string("abcd")) out += text.Push(c).content;
  EXPECT_TRUE(text.stopped());
  EXPECT_EQ(out, "ab");
}

TEST_F(TextAssemblerTest, StopTextIsFoundInWhatFinishReleases) {
  TextAssembler text(*tokenizer_, {"\xef\xbf\xbd"}, 0);
  EXPECT_EQ(text.Push('a').content, "a");
  EXPECT_EQ(text.Push(0xe4).content, "");
  EXPECT_EQ(text.Finish().content, "");
  EXPECT_TRUE(text.stopped());
}

TEST_F(TextAssemblerTest, MinTokensAreExemptFromStops) {
  TextAssembler text(*tokenizer_, {"a"}, 2);
  EXPECT_EQ(text.Push('a').content, "a");
  EXPECT_EQ(text.Push('a').content, "a");
  EXPECT_FALSE(text.stopped());
  EXPECT_EQ(text.Push('a').content, "");
  EXPECT_TRUE(text.stopped());
}

class ReasoningAssemblerTest : public testing::Test {
 protected:
  static constexpr std::int32_t kOpen = kEndToken + 1;
  static constexpr std::int32_t kClose = kEndToken + 2;
  const std::unique_ptr<model::Tokenizer> tokenizer_ =
      MakeByteTokenizer({std::string(kThinkOpen), std::string(kThinkClose)});

  AnswerText Push(TextAssembler& text, std::string_view bytes) {
    AnswerText all;
    for (unsigned char byte : bytes) {
      const AnswerText piece = text.Push(byte);
      all.reasoning += piece.reasoning;
      all.content += piece.content;
    }
    return all;
  }
};

TEST_F(ReasoningAssemblerTest, MarkersMayBeControlTokens) {
  TextAssembler text(*tokenizer_, {}, 0, AnswerPart::kUndecided);
  EXPECT_EQ(text.Push(kOpen).content, "");
  EXPECT_EQ(text.part(), AnswerPart::kReasoning);
  EXPECT_EQ(Push(text, "\nhm").reasoning, "hm");
  EXPECT_EQ(text.Push(kClose).reasoning, "");
  EXPECT_EQ(text.part(), AnswerPart::kContent);
  EXPECT_EQ(Push(text, "\n\nyes").content, "yes");
  EXPECT_TRUE(text.reasoned());
}

TEST_F(ReasoningAssemblerTest, MarkersMayBeManyTokens) {
  TextAssembler text(*tokenizer_, {}, 0, AnswerPart::kUndecided);
  const AnswerText all = Push(text, "<think>hm</think>yes");
  EXPECT_EQ(all.reasoning, "hm");
  EXPECT_EQ(all.content, "yes");
}

TEST_F(ReasoningAssemblerTest, ControlTokensThatMarkNothingAreDropped) {
  TextAssembler text(*tokenizer_, {}, 0, AnswerPart::kReasoning);
  EXPECT_EQ(text.Push(kOpen).reasoning, "");
  EXPECT_EQ(text.Push(kEndToken).reasoning, "");
  EXPECT_EQ(text.Push('a').reasoning, "a");
  text.Push(kClose);
  EXPECT_EQ(text.Push(kClose).content, "");
  EXPECT_EQ(text.Push('b').content, "b");

  TextAssembler whole(*tokenizer_, {}, 0);
  EXPECT_EQ(whole.Push(kOpen).content, "");
  EXPECT_EQ(whole.Push('a').content, "a");
}

TEST_F(ReasoningAssemblerTest, HalfACharacterBeforeTheEndOfTheThinking) {
  TextAssembler text(*tokenizer_, {}, 0, AnswerPart::kReasoning);
  EXPECT_EQ(text.Push(0xe4).reasoning, "");
  EXPECT_EQ(text.Push(kClose).reasoning, "\xef\xbf\xbd");
  EXPECT_EQ(text.part(), AnswerPart::kContent);
}

TEST_F(ReasoningAssemblerTest, StopTextsAreLookedForInTheContentAlone) {
  TextAssembler text(*tokenizer_, {"ab", "</think>"}, 0, AnswerPart::kReasoning);
  EXPECT_EQ(Push(text, "cab</think>").reasoning, "cab");
  EXPECT_FALSE(text.stopped());
  EXPECT_EQ(Push(text, "xabc").content, "x");
  EXPECT_TRUE(text.stopped());
}

TEST_F(ReasoningAssemblerTest, WhatIsHeldComesAtTheEnd) {
  TextAssembler reasoning(*tokenizer_, {}, 0, AnswerPart::kReasoning);
  EXPECT_EQ(Push(reasoning, "a</th").reasoning, "a");
  EXPECT_EQ(reasoning.Finish().reasoning, "</th");
  TextAssembler undecided(*tokenizer_, {"<x"}, 0, AnswerPart::kUndecided);
  EXPECT_EQ(Push(undecided, "\n<").content, "");
  EXPECT_EQ(undecided.Finish().content, "\n<");
}

}  // namespace
}  // namespace moesaic::router
