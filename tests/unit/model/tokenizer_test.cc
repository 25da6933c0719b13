#include "model/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "model/stream_decoder.h"
#include "tests/unit/model/text_fixtures.h"

namespace moesaic::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::unique_ptr<Tokenizer> Make(const nlohmann::json& json, const std::string& config = "") {
  absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::Parse(json.dump(), config);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *std::move(tokenizer);
}

TEST(Tokenizer, MergesByRank) {
  const auto tokenizer = Make(SmallTokenizer());
  EXPECT_THAT(*tokenizer->Encode("abcd"), ElementsAre(7));
  EXPECT_THAT(*tokenizer->Encode("abc ab"), ElementsAre(5, 2, 4, 5));
  EXPECT_THAT(*tokenizer->Encode(""), ElementsAre());
}

TEST(Tokenizer, AddedTokensAreFoundLongestFirst) {
  const auto tokenizer = Make(SmallTokenizer());
  EXPECT_THAT(*tokenizer->Encode("a<tool>xb<tool>b"), ElementsAre(0, 12, 1, 11, 1));
}

TEST(Tokenizer, SpecialTokensInTheTextCanBePlain) {
  const auto tokenizer = Make(SmallTokenizer());
  EXPECT_THAT(*tokenizer->Encode("<s>a"), ElementsAre(10, 0));
  EXPECT_THAT(*tokenizer->Encode("<s>a<tool>", {.parse_special_tokens = false}),
              ElementsAre(13, 15, 14, 0, 11));
}

TEST(Tokenizer, DecodeSkipsSpecialTokensAndUnknownIds) {
  const auto tokenizer = Make(SmallTokenizer());
  EXPECT_EQ(tokenizer->Decode({10, 7, 4, 0, 99, -1}), "abcd a");
  EXPECT_EQ(tokenizer->Decode({10, 7}, false), "<s>abcd");
}

TEST(Tokenizer, KnowsItsVocabulary) {
  const auto tokenizer = Make(SmallTokenizer(), R"({"bos_token": {"content": "<s>"}})");
  EXPECT_EQ(tokenizer->vocab_size(), 17u);
  EXPECT_EQ(*tokenizer->IdToToken(4), "Ġ");
  EXPECT_EQ(tokenizer->IdToToken(17), nullptr);
  EXPECT_EQ(tokenizer->IdToToken(-1), nullptr);
  EXPECT_EQ(tokenizer->TokenToId("<tool>"), 11);
  EXPECT_EQ(tokenizer->TokenToId("nope"), std::nullopt);
  EXPECT_THAT(tokenizer->special_ids(), ElementsAre(10));
  EXPECT_TRUE(tokenizer->IsSpecial(10));
  EXPECT_FALSE(tokenizer->IsSpecial(11));
  EXPECT_EQ(tokenizer->bos_id(), 10);
  EXPECT_EQ(tokenizer->eos_id(), std::nullopt);
}

TEST(Tokenizer, AddBosTokenOverrulesThePostProcessor) {
  nlohmann::json json = SmallTokenizer();
  EXPECT_THAT(*Make(json, R"({"bos_token": "<s>", "add_bos_token": true})")->Encode("a"),
              ElementsAre(10, 0));
  json["post_processor"] = nlohmann::json::parse(R"({
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [10], "tokens": ["<s>"]}}})");
  EXPECT_THAT(*Make(json)->Encode("a"), ElementsAre(10, 0));
  EXPECT_THAT(*Make(json)->Encode("a", {.add_special_tokens = false}), ElementsAre(0));
  EXPECT_THAT(*Make(json, R"({"bos_token": "<s>", "add_bos_token": true})")->Encode("a"),
              ElementsAre(10, 0));
  EXPECT_THAT(*Make(json, R"({"bos_token": "<s>", "add_bos_token": false})")->Encode("a"),
              ElementsAre(0));
}

TEST(Tokenizer, StreamSpellsASkippedTokenOutWhereAsked) {
  const auto tokenizer = Make(SmallTokenizer());
  StreamDecoder stream(*tokenizer);
  EXPECT_EQ(stream.Push(10), "");
  EXPECT_EQ(stream.Push(10, /*spell_out=*/true), "<s>");
}

TEST(Tokenizer, StreamHoldsIncompleteCharactersBack) {
  const auto tokenizer = Make(SmallTokenizer());
  StreamDecoder stream(*tokenizer);
  EXPECT_EQ(stream.Push(0), "a");
  EXPECT_EQ(stream.Push(8), "");
  EXPECT_EQ(stream.Push(9), "é");
  EXPECT_EQ(stream.Push(8), "");
  EXPECT_EQ(stream.Push(0),
            "\xEF\xBF\xBD"
            "a");
  EXPECT_EQ(stream.Push(8), "");
  EXPECT_EQ(stream.Finish(), "\xEF\xBF\xBD");
}

TEST(Tokenizer, KnowsTheBytesOfItsTokens) {
  nlohmann::json json = SmallTokenizer();
  json["model"]["vocab"]["<0xe4>"] = 30;
  json["model"]["vocab"]["<0xGG>"] = 31;
  json["model"]["vocab"]["\u4f60"] = 32;
  const auto tokenizer = Make(json);
  EXPECT_EQ(tokenizer->TokenBytes(0), "a");
  EXPECT_EQ(tokenizer->TokenBytes(8), "\xC3");
  EXPECT_EQ(tokenizer->TokenBytes(30), "\xE4");
  EXPECT_EQ(tokenizer->TokenBytes(31), "<0xGG>");
  EXPECT_EQ(tokenizer->TokenBytes(32), std::nullopt);
  EXPECT_EQ(tokenizer->TokenBytes(1000), std::nullopt);
}

TEST(Tokenizer, RefusesWhatItCannotExpress) {
  const auto tokenizer = Make(SmallTokenizer());
  EXPECT_EQ(tokenizer->Encode("a\xFF").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(tokenizer->Encode("z").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Tokenizer, EveryTruncationIsAnErrorThatNamesTheFile) {
  const std::string text = SmallTokenizer().dump();
  for (std::size_t size = 0; size < text.size(); ++size) {
    const auto tokenizer = Tokenizer::Parse(std::string_view(text).substr(0, size));
    ASSERT_FALSE(tokenizer.ok()) << size;
    ASSERT_THAT(tokenizer.status().ToString(), HasSubstr("tokenizer.json")) << size;
  }
  const std::string config = R"({"bos_token": "<s>", "chat_template": "x"})";
  for (std::size_t size = 1; size < config.size(); ++size) {
    const auto tokenizer = Tokenizer::Parse(text, std::string_view(config).substr(0, size));
    ASSERT_FALSE(tokenizer.ok()) << size;
    ASSERT_THAT(tokenizer.status().ToString(), HasSubstr("tokenizer_config.json")) << size;
  }
}

struct BadChange {
  const char* pointer;
  const char* value;
  const char* message;
};

TEST(Tokenizer, ErrorsNameTheKey) {
  const BadChange changes[] = {
      {"/model", "null", "model"},
      {"/model/type", "\"WordPiece\"", "model.type: unsupported type 'WordPiece'"},
      {"/model/vocab", "[]", "model.vocab"},
      {"/model/vocab/a", "-1", "id of token 'a'"},
      {"/model/vocab/a", "4194304", "id of token 'a'"},
      {"/model/merges", "7", "model.merges"},
      {"/model/merges/0", "\"a\"", "model.merges[0]"},
      {"/model/merges/0", "\"a z\"", "needs token 'z'"},
      {"/model/dropout", "0.1", "model.dropout"},
      {"/model/unk_token", "\"<unk>\"", "model.unk_token"},
      {"/normalizer", "{\"type\": \"Nope\"}", "normalizer.type: unsupported type 'Nope'"},
      {"/normalizer", "3", "normalizer: expected an object"},
      {"/pre_tokenizer", "{\"type\": \"Nope\"}", "pre_tokenizer.type"},
      {"/pre_tokenizer/use_regex", "1", "pre_tokenizer.use_regex"},
      {"/decoder", "{\"type\": \"Nope\"}", "decoder.type"},
      {"/post_processor", "{\"type\": \"Nope\"}", "post_processor.type"},
      {"/added_tokens/0/id", "-3", "added_tokens[0].id"},
      {"/added_tokens/0/content", "null", "added_tokens[0].content"},
  };
  for (const BadChange& change : changes) {
    nlohmann::json json = SmallTokenizer();
    json[nlohmann::json::json_pointer(change.pointer)] = nlohmann::json::parse(change.value);
    const auto tokenizer = Tokenizer::Parse(json.dump());
    ASSERT_FALSE(tokenizer.ok()) << change.pointer;
    EXPECT_THAT(tokenizer.status().ToString(), HasSubstr(change.message));
    EXPECT_THAT(tokenizer.status().ToString(), HasSubstr("tokenizer.json"));
  }
}

TEST(Tokenizer, NestedSequencesAreBounded) {
  nlohmann::json json = SmallTokenizer();
  for (int i = 0; i < 1000; ++i) {
    json["normalizer"] = {{"type", "Sequence"}, {"normalizers", {json["normalizer"]}}};
  }
  EXPECT_FALSE(Tokenizer::Parse(json.dump()).ok());
}

TEST(Tokenizer, LoadNamesAMissingFile) {
  const auto tokenizer = Tokenizer::Load("/nonexistent-folder");
  EXPECT_EQ(tokenizer.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(tokenizer.status().ToString(), HasSubstr("tokenizer.json"));
}

}  // namespace
}  // namespace moesaic::model
