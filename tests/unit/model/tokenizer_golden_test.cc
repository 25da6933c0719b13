#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_replace.h"
#include "base/file.h"
#include "model/stream_decoder.h"
#include "model/tokenizer.h"
#include "nlohmann/json.hpp"
#include "tests/golden/golden.h"

namespace moesaic::model {
namespace {

std::string ReadGolden(const std::string& path) {
  absl::StatusOr<std::string> text =
      base::ReadFile(testing::GoldenDir() + "/" + path, std::size_t{1} << 26);
  EXPECT_TRUE(text.ok()) << text.status();
  return text.ok() ? *std::move(text) : std::string();
}

/// The file holds one lone surrogate, which is no text; the reference saw U+FFFD in its place.
nlohmann::json GoldenCases(const std::string& name) {
  const std::string text = absl::StrReplaceAll(ReadGolden("text/golden_tok.json"),
                                               {{"\"\\ud83d\"", "\"\xEF\xBF\xBD\""}});
  return nlohmann::json::parse(text)[name];
}

std::string Streamed(const Tokenizer& tokenizer, const std::vector<std::int32_t>& ids, bool skip) {
  StreamDecoder stream(tokenizer, skip);
  std::string text;
  for (const std::int32_t id : ids) text += stream.Push(id);
  return text + stream.Finish();
}

struct GoldenTokenizer {
  const char* folder;
  const char* key;
};

class TokenizerGoldenTest : public ::testing::TestWithParam<GoldenTokenizer> {};

TEST_P(TokenizerGoldenTest, AgreesWithTheReferenceOnEveryText) {
  const std::string folder = std::string("tokenizers/") + GetParam().folder;
  const auto tokenizer = Tokenizer::Parse(ReadGolden(folder + "/tokenizer.json"));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const nlohmann::json cases = GoldenCases(GetParam().key);
  ASSERT_EQ(cases.size(), 36u);
  for (const nlohmann::json& expected : cases) {
    const std::string text = expected["text"];
    SCOPED_TRACE(text);
    const auto plain = (*tokenizer)->Encode(text, {.add_special_tokens = false});
    ASSERT_TRUE(plain.ok()) << plain.status();
    EXPECT_EQ(*plain, expected["ids"].get<std::vector<std::int32_t>>());
    const auto framed = (*tokenizer)->Encode(text);
    ASSERT_TRUE(framed.ok()) << framed.status();
    EXPECT_EQ(*framed, expected["ids_special"].get<std::vector<std::int32_t>>());
    EXPECT_EQ((*tokenizer)->Decode(*plain, false), expected["decoded"]);
    EXPECT_EQ((*tokenizer)->Decode(*plain, true), expected["decoded_skip_special"]);
    EXPECT_EQ(Streamed(**tokenizer, *plain, false), expected["decoded"]);
    EXPECT_EQ(Streamed(**tokenizer, *plain, true), expected["decoded_skip_special"]);
  }
}

INSTANTIATE_TEST_SUITE_P(All, TokenizerGoldenTest,
                         ::testing::Values(GoldenTokenizer{"deepseek_v3", "deepseek_v3"},
                                           GoldenTokenizer{"qwen3", "qwen3"},
                                           GoldenTokenizer{"llama2", "llama2_spm"}),
                         [](const auto& info) { return std::string(info.param.folder); });

TEST(TokenizerGoldenLoad, ConfigDecidesAboutBos) {
  const std::string root = testing::GoldenDir() + "/tokenizers/";
  const auto deepseek = Tokenizer::Load(root + "deepseek_v3");
  ASSERT_TRUE(deepseek.ok()) << deepseek.status();
  EXPECT_EQ(*(*deepseek)->Encode("Hello, world!"),
            (std::vector<std::int32_t>{0, 19923, 14, 2058, 3}));
  EXPECT_EQ((*deepseek)->bos_id(), 0);
  EXPECT_EQ((*deepseek)->eos_id(), 1);
  EXPECT_NE((*deepseek)->config().FindChatTemplate(), nullptr);
  const auto qwen = Tokenizer::Load(root + "qwen3");
  ASSERT_TRUE(qwen.ok()) << qwen.status();
  EXPECT_FALSE((*qwen)->bos_id().has_value());
  EXPECT_EQ((*qwen)->Encode("a")->size(), 1u);
  const auto llama = Tokenizer::Load(root + "llama2");
  ASSERT_TRUE(llama.ok()) << llama.status();
  EXPECT_EQ(*(*llama)->Encode("\n"), (std::vector<std::int32_t>{1, 28705, 13}));
}

TEST(TokenizerGoldenLoad, LongUnsplitTextIsNotQuadratic) {
  const auto llama = Tokenizer::Load(testing::GoldenDir() + "/tokenizers/llama2");
  ASSERT_TRUE(llama.ok()) << llama.status();
  const std::string text(400'000, 'x');
  const auto ids = (*llama)->Encode(text);
  ASSERT_TRUE(ids.ok()) << ids.status();
  EXPECT_EQ((*llama)->Decode(*ids), text);
}

}  // namespace
}  // namespace moesaic::model
