// The building blocks of the tokenizer: UTF-8, BPE, added tokens, tokenizer_config.json.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "model/added_tokens.h"
#include "model/bpe.h"
#include "model/tokenizer_config.h"
#include "model/utf8.h"

namespace moesaic::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kBad = "\xEF\xBF\xBD";

TEST(Utf8, LossyReplacesMaximalSubparts) {
  // Unicode 15, table 3-8.
  std::string out;
  AppendLossy(
      "a\xF1\x80\x80\xE1\x80\xC2"
      "b\x80",
      true, out);
  EXPECT_EQ(out, std::string("a") + kBad + kBad + kBad + "b" + kBad);
  out.clear();
  EXPECT_EQ(AppendLossy("a\xE2\x82", false, out), 1u);
  EXPECT_EQ(out, "a");
}

TEST(Utf8, KnowsWhatIsValid) {
  for (const char* text : {"", "a", "é", "€", "😀", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(IsValidUtf8(text));
    EXPECT_EQ(ToUtf8(ToUtf32(text)), text);
  }
  for (const char* text :
       {"\x80", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\xFF"}) {
    EXPECT_FALSE(IsValidUtf8(text));
  }
}

std::vector<std::int32_t> EncodeWith(const char* model, const std::string& text) {
  const nlohmann::json json = nlohmann::json::parse(model);
  const auto bpe = Bpe::Create(JsonSpec(json, "model"));
  EXPECT_TRUE(bpe.ok()) << bpe.status();
  std::vector<std::int32_t> ids;
  const absl::Status status = bpe->Encode(text, ids);
  EXPECT_TRUE(status.ok()) << status;
  return ids;
}

TEST(Bpe, TiesGoToTheLeft) {
  EXPECT_THAT(EncodeWith(R"({"vocab": {"a": 0, "aa": 1}, "merges": [["a", "a"]]})", "aaaaa"),
              ElementsAre(1, 1, 0));
}

TEST(Bpe, UnknownCharacters) {
  const char* const fused =
      R"({"vocab": {"<unk>": 0, "a": 1}, "merges": [], "unk_token": "<unk>", "fuse_unk": true})";
  EXPECT_THAT(EncodeWith(fused, "xyaz"), ElementsAre(0, 1, 0));
  const char* const single =
      R"({"vocab": {"<unk>": 0, "a": 1}, "merges": [], "unk_token": "<unk>"})";
  EXPECT_THAT(EncodeWith(single, "xyaz"), ElementsAre(0, 0, 1, 0));
}

TEST(Bpe, FallsBackToBytes) {
  EXPECT_THAT(EncodeWith(R"({"vocab": {"<0xC3>": 0, "<0xA9>": 1, "a": 2}, "merges": [],
                             "byte_fallback": true})",
                         "aé"),
              ElementsAre(2, 0, 1));
}

TEST(Bpe, IgnoreMergesTriesTheWholePiece) {
  const char* const model = R"({"vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4},
                                "merges": ["a b"], "ignore_merges": true})";
  EXPECT_THAT(EncodeWith(model, "abc"), ElementsAre(4));
  EXPECT_THAT(EncodeWith(model, "abcb"), ElementsAre(3, 2, 1));
}

TEST(Bpe, Affixes) {
  EXPECT_THAT(EncodeWith(R"({"vocab": {"a": 0, "##b": 1, "##c</w>": 2, "ab": 3},
                             "continuing_subword_prefix": "##", "end_of_word_suffix": "</w>",
                             "merges": ["a ##b"]})",
                         "abc"),
              ElementsAre(3, 2));
}

std::vector<std::string> PartsOf(const AddedTokenMatcher& matcher, const std::string& text,
                                 bool match_special = true) {
  std::vector<std::string> parts;
  for (const AddedTokenPart& part : matcher.Split(text, match_special)) {
    const std::string piece = text.substr(part.span.begin, part.span.end - part.span.begin);
    parts.push_back(part.id ? "[" + piece + "]" : piece);
  }
  return parts;
}

AddedTokenMatcher MatcherFor(AddedToken token) {
  AddedTokenMatcher matcher;
  matcher.Add(token, token.content);
  return matcher;
}

TEST(AddedTokens, LeftmostLongest) {
  AddedTokenMatcher matcher;
  int id = 0;
  for (const char* content : {"ab", "abc", "bcd", "é"}) {
    AddedToken token;
    token.id = id++;
    token.content = content;
    matcher.Add(token, content);
  }
  EXPECT_THAT(PartsOf(matcher, "xabcdabéy"), ElementsAre("x", "[abc]", "d", "[ab]", "[é]", "y"));
}

TEST(AddedTokens, StripsAndSingleWords) {
  AddedToken token;
  token.content = "<m>";
  token.lstrip = true;
  EXPECT_THAT(PartsOf(MatcherFor(token), "a  <m> <m>b"),
              ElementsAre("a", "[  <m>]", "[ <m>]", "b"));
  token.rstrip = true;
  EXPECT_THAT(PartsOf(MatcherFor(token), "a <m>\n <m> "), ElementsAre("a", "[ <m>\n ]", "[<m> ]"));
  AddedToken word;
  word.content = "ing";
  word.single_word = true;
  EXPECT_THAT(PartsOf(MatcherFor(word), "king ing ingä ing"),
              ElementsAre("king ", "[ing]", " ingä ", "[ing]"));
  AddedToken special;
  special.content = "<s>";
  special.special = true;
  EXPECT_THAT(PartsOf(MatcherFor(special), "a<s>b", false), ElementsAre("a<s>b"));
}

TEST(TokenizerConfig, ReadsTokensAndTemplates) {
  const auto config = ParseTokenizerConfig(
      R"({"add_bos_token": true, "bos_token": "<s>", "eos_token": {"content": "</s>"},
          "pad_token": null, "other": [],
          "chat_template": [{"name": "default", "template": "D"},
                            {"name": "tool_use", "template": "T"}]})",
      "f");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->add_bos_token, true);
  EXPECT_EQ(config->add_eos_token, std::nullopt);
  EXPECT_EQ(config->bos_token, "<s>");
  EXPECT_EQ(config->eos_token, "</s>");
  EXPECT_EQ(config->pad_token, std::nullopt);
  EXPECT_EQ(*config->FindChatTemplate(), "D");
  EXPECT_EQ(*config->FindChatTemplate("tool_use"), "T");
  EXPECT_EQ(config->FindChatTemplate("rag"), nullptr);
}

TEST(TokenizerConfig, ErrorsNameFileAndKey) {
  const auto wrong = ParseTokenizerConfig(R"({"bos_token": 3})", "dir/tokenizer_config.json");
  EXPECT_THAT(wrong.status().ToString(), HasSubstr("dir/tokenizer_config.json.bos_token"));
  EXPECT_EQ(ParseTokenizerConfig("{", "f").status().code(), absl::StatusCode::kDataLoss);
}

TEST(TokenizerConfig, TemplateFilesTakePrecedence) {
  const std::string directory = ::testing::TempDir() + "/tokenizer_config_test";
  ASSERT_EQ(std::system(("mkdir -p " + directory).c_str()), 0);
  const auto write = [&](const std::string& name, const std::string& text) {
    std::ofstream(directory + "/" + name) << text;
  };
  write("tokenizer_config.json", R"({"chat_template": "config"})");
  EXPECT_EQ(*LoadTokenizerConfig(directory)->FindChatTemplate(), "config");
  write("chat_template.json", R"({"chat_template": "json"})");
  EXPECT_EQ(*LoadTokenizerConfig(directory)->FindChatTemplate(), "json");
  write("chat_template.jinja", "jinja");
  EXPECT_EQ(*LoadTokenizerConfig(directory)->FindChatTemplate(), "jinja");
  ASSERT_EQ(std::system(("rm -r " + directory).c_str()), 0);
}

}  // namespace
}  // namespace moesaic::model
