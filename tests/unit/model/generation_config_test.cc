#include "model/generation_config.h"

#include <string>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace moesaic::model {
namespace {

using ::testing::ElementsAre;

constexpr char kGenerationConfigPath[] = "dir/generation_config.json";
constexpr char kQwen3[] = R"({"bos_token_id": 151643, "do_sample": true,
  "eos_token_id": [151645, 151643], "pad_token_id": 151643, "temperature": 0.6, "top_k": 20,
  "top_p": 0.95, "transformers_version": "4.51.0"})";

TEST(GenerationConfigTest, ReadsWhatIsThere) {
  const auto config = ParseGenerationConfig(kQwen3, kGenerationConfigPath);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->do_sample, true);
  EXPECT_EQ(config->temperature, 0.6f);
  EXPECT_EQ(config->top_k, 20);
  EXPECT_EQ(config->top_p, 0.95f);
  EXPECT_EQ(config->min_p, std::nullopt);
  EXPECT_EQ(config->repetition_penalty, std::nullopt);
  EXPECT_EQ(config->max_new_tokens, std::nullopt);
  EXPECT_THAT(config->eos_token_ids, ElementsAre(151645, 151643));
}

TEST(GenerationConfigTest, EmptyObjectLeavesAllOpen) {
  const auto config = ParseGenerationConfig("{}", kGenerationConfigPath);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->do_sample, std::nullopt);
  EXPECT_TRUE(config->eos_token_ids.empty());
}

TEST(GenerationConfigTest, NoLimitOnTopKIsZero) {
  EXPECT_EQ(ParseGenerationConfig(R"({"top_k": -1})", kGenerationConfigPath)->top_k, 0);
  EXPECT_EQ(ParseGenerationConfig(R"({"top_k": 0})", kGenerationConfigPath)->top_k, 0);
}

TEST(GenerationConfigTest, BadValuesNameFileAndKey) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"temperature": -1})", "temperature"},
      {R"({"temperature": "hot"})", "temperature"},
      {R"({"top_p": 1.5})", "top_p"},
      {R"({"top_k": 2.5})", "top_k"},
      {R"({"do_sample": 1})", "do_sample"},
      {R"({"eos_token_id": "end"})", "eos_token_id"},
      {R"({"max_new_tokens": 0})", "max_new_tokens"},
      {R"({"repetition_penalty": 0})", "repetition_penalty"},
  };
  for (const auto& [json, key] : cases) {
    const absl::Status status = ParseGenerationConfig(json, kGenerationConfigPath).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << json;
    EXPECT_TRUE(absl::StartsWith(status.message(), absl::string_view(kGenerationConfigPath)))
        << status;
    EXPECT_TRUE(absl::StrContains(status.message(), key)) << status;
  }
}

TEST(GenerationConfigTest, EveryTruncationIsAnErrorThatNamesTheFile) {
  const std::string json = kQwen3;
  for (std::size_t length = 0; length < json.size(); ++length) {
    const absl::Status status =
        ParseGenerationConfig(json.substr(0, length), kGenerationConfigPath).status();
    ASSERT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << length;
    ASSERT_TRUE(absl::StartsWith(status.message(), kGenerationConfigPath)) << status;
  }
}

}  // namespace
}  // namespace moesaic::model
