// Tables for the steps of a tokenizer: normalizers, pre-tokenizers, decoders, post-processors.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "model/normalizer.h"
#include "model/post_processor.h"
#include "model/pre_tokenizer.h"
#include "model/token_decoder.h"

namespace moesaic::model {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

struct NormalizerCase {
  const char* spec;
  const char* text;
  const char* expected;
};

TEST(Normalizer, Table) {
  const NormalizerCase cases[] = {
      {R"({"type": "NFC"})", "e\u0301", "\u00e9"},
      {R"({"type": "NFD"})", "\u00e9", "e\u0301"},
      {R"({"type": "NFKC"})", "\ufb01\u2460", "fi1"},
      {R"({"type": "NFKD"})", "\u00bd", "1\u20442"},
      {R"({"type": "NFC"})", "\u1112\u1161\u11ab", "\ud55c"},
      // Marks are ordered by class; U+1ABF is younger than the reference's tables.
      {R"({"type": "NFD"})", "a\u0301\u0323", "a\u0323\u0301"},
      {R"({"type": "NFD"})", "a\u0301\u1abf", "a\u0301\u1abf"},
      {R"({"type": "Lowercase"})", "ÀB\u0130", "àbi\u0307"},
      {R"({"type": "Strip"})", " \u3000a b\n", "a b"},
      {R"({"type": "Strip", "strip_left": false, "strip_right": true})", " a ", " a"},
      {R"({"type": "StripAccents"})", "e\u0301", "e"},
      {R"({"type": "Prepend", "prepend": "_"})", "a", "_a"},
      {R"({"type": "Prepend", "prepend": "_"})", "", ""},
      {R"({"type": "Replace", "pattern": {"String": "."}, "content": "!"})", "a.b", "a!b"},
      {R"({"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "})", "a \n b", "a b"},
      {R"({"type": "Nmt"})", "a\u0001\u200bb", "a b"},
      {R"({"type": "ByteLevel"})", " é", "ĠÃ©"},
      {R"({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "x"},
          {"type": "Lowercase"}]})",
       "A", "xa"},
      {"null", "A", "A"},
  };
  for (const NormalizerCase& c : cases) {
    const nlohmann::json json = nlohmann::json::parse(c.spec);
    const auto normalizer = Normalizer::Create(JsonSpec(json, "n"));
    ASSERT_TRUE(normalizer.ok()) << normalizer.status();
    std::string text = c.text;
    ASSERT_TRUE(normalizer->Apply(text).ok());
    EXPECT_EQ(text, c.expected) << c.spec;
  }
}

TEST(Normalizer, LongRunsOfMarksAreNotQuadratic) {
  const nlohmann::json json = {{"type", "NFC"}};
  const auto normalizer = Normalizer::Create(JsonSpec(json, "n"));
  std::string text = "a";
  for (int i = 0; i < 200'000; ++i) text += "\u0301";
  for (int i = 0; i < 200'000; ++i) text += "\u0323";
  ASSERT_TRUE(normalizer->Apply(text).ok());
  EXPECT_EQ(text.substr(0, 3), "\u1ea1");
}

struct SplitCase {
  const char* spec;
  const char* text;
  std::vector<std::string> expected;
};

std::string SplitSpec(const std::string& behavior, const std::string& invert = "false") {
  return R"({"type": "Split", "pattern": {"String": "-"}, "behavior": ")" + behavior +
         R"(", "invert": )" + invert + "}";
}

std::vector<std::string> PiecesOf(const std::string& spec, const std::string& text,
                                  bool starts_input = true) {
  const nlohmann::json json = nlohmann::json::parse(spec);
  const auto pre_tokenizer = PreTokenizer::Create(JsonSpec(json, "p"));
  EXPECT_TRUE(pre_tokenizer.ok()) << pre_tokenizer.status();
  const auto split = pre_tokenizer->Apply(text, starts_input);
  EXPECT_TRUE(split.ok()) << split.status();
  std::vector<std::string> pieces;
  for (const Span& piece : split->pieces) pieces.emplace_back(split->Piece(piece));
  return pieces;
}

TEST(PreTokenizer, SplitBehaviors) {
  // The examples of the reference's own tests.
  const std::string text = "the-final--countdown";
  EXPECT_THAT(PiecesOf(SplitSpec("Removed"), text), ElementsAre("the", "final", "countdown"));
  EXPECT_THAT(PiecesOf(SplitSpec("Isolated"), text),
              ElementsAre("the", "-", "final", "-", "-", "countdown"));
  EXPECT_THAT(PiecesOf(SplitSpec("MergedWithPrevious"), text),
              ElementsAre("the-", "final-", "-", "countdown"));
  EXPECT_THAT(PiecesOf(SplitSpec("MergedWithNext"), text),
              ElementsAre("the", "-final", "-", "-countdown"));
  EXPECT_THAT(PiecesOf(SplitSpec("Contiguous"), text),
              ElementsAre("the", "-", "final", "--", "countdown"));
  EXPECT_THAT(PiecesOf(SplitSpec("Removed", "true"), text), ElementsAre("-", "-", "-"));
}

TEST(PreTokenizer, Table) {
  const SplitCase cases[] = {
      {R"({"type": "ByteLevel", "add_prefix_space": false})",
       "It's 12 é\n\n x",
       {"It", "'s", "Ġ12", "ĠÃ©", "ĊĊ", "Ġx"}},
      {R"({"type": "ByteLevel", "add_prefix_space": true, "use_regex": false})", "a b", {"ĠaĠb"}},
      {R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"})",
       "a b",
       {"▁a", "▁b"}},
      {R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never"})",
       "a b",
       {"a", "▁b"}},
      {R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false})",
       "a b",
       {"▁a▁b"}},
      {R"({"type": "Digits", "individual_digits": true})", "a12b", {"a", "1", "2", "b"}},
      {R"({"type": "Digits"})", "a12b", {"a", "12", "b"}},
      {R"({"type": "Punctuation"})", "a!?b", {"a", "!", "?", "b"}},
      {R"({"type": "Punctuation", "behavior": "Removed"})", "a!?b", {"a", "b"}},
      {R"({"type": "Whitespace"})", "Hey, you_x!", {"Hey", ",", "you_x", "!"}},
      {R"({"type": "WhitespaceSplit"})", " a, b\n", {"a,", "b"}},
      {R"({"type": "BertPreTokenizer"})", "a, b", {"a", ",", "b"}},
      {R"({"type": "CharDelimiterSplit", "delimiter": "|"})", "a|b", {"a", "b"}},
      {R"({"type": "FixedLength", "length": 2})", "aébcd", {"aé", "bc", "d"}},
      {R"({"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"},
          {"type": "Digits"}]})",
       "a1 b",
       {"a", "1", "b"}},
  };
  for (const SplitCase& c : cases) {
    EXPECT_THAT(PiecesOf(c.spec, c.text), ElementsAreArray(c.expected)) << c.spec;
  }
}

TEST(PreTokenizer, FirstPieceIsMarkedOnlyAtTheStartOfTheInput) {
  const std::string spec =
      R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"})";
  EXPECT_THAT(PiecesOf(spec, "a b", false), ElementsAre("a", "▁b"));
}

struct DecoderCase {
  const char* spec;
  std::vector<std::string> tokens;
  const char* expected;
};

TEST(TokenDecoder, Table) {
  const char* const llama = R"({"type": "Sequence", "decoders": [
      {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
      {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})";
  const char* const fffd = "\xEF\xBF\xBD";
  const std::string two = std::string(fffd) + fffd;
  const DecoderCase cases[] = {
      {R"({"type": "ByteLevel"})", {"ĠÃ", "©", "a"}, " éa"},
      {R"({"type": "ByteLevel"})", {"Ã"}, fffd},
      {R"({"type": "ByteLevel"})", {"＜x▁"}, "＜x▁"},
      {llama, {"▁a", "▁▁b"}, "a  b"},
      {llama, {"▁", "<0xC3>", "<0xA9>", "x"}, "éx"},
      {llama, {"▁a", "<0xC3>", "<0x28>"}, nullptr},
      {R"({"type": "Metaspace", "replacement": "▁"})", {"▁a", "▁b"}, "a b"},
      {R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never"})",
       {"▁a", "▁b"},
       " a b"},
      {R"({"type": "Strip", "content": "_", "start": 1, "stop": 2})", {"__a___", "_b"}, "_a_b"},
      {R"({"type": "Sequence", "decoders": [{"type": "Fuse"},
          {"type": "Replace", "pattern": {"String": "aab"}, "content": "X"}]})",
       {"a", "aa", "b", "aa"},
       "aXaa"},
      {R"({"type": "Sequence", "decoders": [{"type": "Fuse"},
          {"type": "Replace", "pattern": {"Regex": "a+"}, "content": "X"}]})",
       {"a", "a", "b"},
       "Xb"},
      {"null", {"a", "b"}, "a b"},
  };
  for (const DecoderCase& c : cases) {
    const nlohmann::json json = nlohmann::json::parse(c.spec);
    const auto decoder = TokenDecoder::Create(JsonSpec(json, "d"));
    ASSERT_TRUE(decoder.ok()) << decoder.status();
    TokenDecoder::State state = decoder->NewState();
    std::string text;
    for (const std::string& token : c.tokens) decoder->Push(token, state, text);
    decoder->Finish(state, text);
    EXPECT_EQ(text, c.expected == nullptr ? "a" + two : std::string(c.expected)) << c.spec;
  }
}

TEST(PostProcessor, PutsTokensAround) {
  const nlohmann::json json = nlohmann::json::parse(R"({"type": "Sequence", "processors": [
      {"type": "ByteLevel"},
      {"type": "TemplateProcessing",
       "single": [{"SpecialToken": {"id": "B"}}, {"Sequence": {"id": "A"}},
                  {"SpecialToken": {"id": "E"}}],
       "special_tokens": {"B": {"ids": [1, 2]}, "E": {"ids": [3]}}}]})");
  const auto frame = ParsePostProcessor(JsonSpec(json, "p"));
  ASSERT_TRUE(frame.ok()) << frame.status();
  EXPECT_THAT(frame->prefix, ElementsAre(1, 2));
  EXPECT_THAT(frame->suffix, ElementsAre(3));
  const nlohmann::json bad = nlohmann::json::parse(
      R"({"type": "TemplateProcessing", "single": [{"Sequence": {"id": "B"}}]})");
  EXPECT_FALSE(ParsePostProcessor(JsonSpec(bad, "p")).ok());
}

}  // namespace
}  // namespace moesaic::model
