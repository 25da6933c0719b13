#include "router/api/generation_fields.h"

#include <string>

#include "absl/strings/escaping.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "http/error_map.h"

namespace moesaic::router {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

absl::Status Read(const std::string& name, const std::string& value, GenerationFields& fields) {
  bool known = false;
  const absl::Status status = ReadGenerationField(name, Json::parse(value), fields, known);
  EXPECT_TRUE(known) << name;
  return status;
}

TEST(GenerationFieldsTest, WrongTypesAndRangesNameTheField) {
  const struct {
    const char* name;
    const char* value;
  } cases[] = {
      {"model", "3"},
      {"n", "0"},
      {"n", "129"},
      {"n", "1.5"},
      {"n", "\"1\""},
      {"stream", "1"},
      {"stream_options", "true"},
      {"stream_options", R"({"include_usage":"yes"})"},
      {"max_tokens", "-1"},
      {"max_tokens", "1e30"},
      {"max_tokens", "18446744073709551615"},
      {"min_tokens", "\"3\""},
      {"stop", "3"},
      {"stop", "\"\""},
      {"stop", R"(["a","b","c","d","e"])"},
      {"stop", R"(["a",1])"},
      {"stop_token_ids", "[1.5]"},
      {"stop_token_ids", "[-1]"},
      {"stop_token_ids", "7"},
      {"ignore_eos", "\"true\""},
      {"temperature", "-0.1"},
      {"temperature", "2.1"},
      {"temperature", "\"hot\""},
      {"top_p", "0"},
      {"top_p", "1.1"},
      {"top_k", "-2"},
      {"min_p", "1.1"},
      {"repetition_penalty", "0"},
      {"presence_penalty", "-2.1"},
      {"frequency_penalty", "[]"},
      {"seed", "1.5"},
      {"logit_bias", "[1]"},
      {"logit_bias", R"({"x":1})"},
      {"logit_bias", R"({"1":101})"},
      {"return_token_ids", "0"},
      {"return_routed_experts", "\"x\""},
      {"stream_routed_experts", "1"},
      {"replay_routed_experts", "\"AAA=\""},
      {"replay_routed_experts", "[1]"},
      {"user", "{}"},
  };
  for (const auto& c : cases) {
    GenerationFields fields;
    const absl::Status status = Read(c.name, c.value, fields);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.name << " " << c.value;
    EXPECT_EQ(http::ParamOf(status), c.name) << c.value;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.name));
  }
}

TEST(GenerationFieldsTest, ReadsGoodValues) {
  GenerationFields fields;
  const std::string replay = absl::Base64Escape(std::string("\x01\0\0\0\x02\0\0\0", 8));
  const std::pair<const char*, std::string> good[] = {
      {"model", "\"m\""},
      {"n", "3.0"},
      {"max_tokens", "7"},
      {"stop", "\"x\""},
      {"temperature", "0"},
      {"top_p", "0.9"},
      {"top_k", "-1"},
      {"seed", "-1"},
      {"logit_bias", R"({"5":-100,"6":1.5})"},
      {"stream_options", R"({"include_usage":true,"more":1})"},
      {"replay_routed_experts", "\"" + replay + "\""},
      {"priority", "0"},
  };
  for (const auto& [name, value] : good) {
    EXPECT_TRUE(Read(name, value, fields).ok()) << name << " " << Read(name, value, fields);
  }
  EXPECT_EQ(fields.model, "m");
  EXPECT_EQ(fields.n, 3);
  EXPECT_EQ(fields.max_tokens, 7);
  EXPECT_EQ(fields.stop[0], "x");
  EXPECT_EQ(fields.temperature, 0.0f);
  EXPECT_EQ(fields.top_p, 0.9f);
  EXPECT_EQ(fields.top_k, -1);
  EXPECT_EQ(fields.seed, ~std::uint64_t{0});
  EXPECT_THAT(fields.logit_bias, ElementsAre(Pair(5, -100.0f), Pair(6, 1.5f)));
  EXPECT_EQ(fields.include_usage, true);
  EXPECT_THAT(fields.replay_routed_experts, ElementsAre(1, 2));
}

TEST(GenerationFieldsTest, AnEmptyReplayReplaysNothing) {
  GenerationFields fields;
  EXPECT_TRUE(Read("replay_routed_experts", "\"\"", fields).ok());
  EXPECT_THAT(fields.replay_routed_experts, testing::IsEmpty());
}

TEST(GenerationFieldsTest, NullIsAbsent) {
  GenerationFields fields;
  for (const char* name : {"max_tokens", "temperature", "stop", "seed", "stream", "logit_bias"}) {
    EXPECT_TRUE(Read(name, "null", fields).ok()) << name;
  }
  EXPECT_FALSE(fields.temperature.has_value());
}

TEST(GenerationFieldsTest, UnknownFieldIsNotKnown) {
  GenerationFields fields;
  bool known = false;
  EXPECT_TRUE(ReadGenerationField("frobnicate", 1, fields, known).ok());
  EXPECT_FALSE(known);
}

TEST(GenerationFieldsTest, PriorityIsNotBuilt) {
  GenerationFields fields;
  EXPECT_EQ(http::ErrorCodeOf(Read("priority", "5", fields)), "unsupported_parameter");
}

TEST(GenerationFieldsTest, ChecksFieldsTogether) {
  GenerationFields usage;
  usage.include_usage = true;
  EXPECT_EQ(http::ParamOf(CheckGenerationFields(usage)), "stream_options");
  usage.stream = true;
  EXPECT_TRUE(CheckGenerationFields(usage).ok());

  GenerationFields counts;
  counts.max_tokens = 3;
  counts.min_tokens = 4;
  EXPECT_EQ(http::ParamOf(CheckGenerationFields(counts)), "min_tokens");

  GenerationFields routing;
  routing.return_routed_experts = true;
  routing.stop = {"x"};
  EXPECT_EQ(http::ParamOf(CheckGenerationFields(routing)), "return_routed_experts");

  GenerationFields streamed;
  streamed.stream_routed_experts = true;
  streamed.stop = {"x"};
  EXPECT_EQ(http::ParamOf(CheckGenerationFields(streamed)), "stream_routed_experts");
  streamed.stream = true;
  EXPECT_TRUE(CheckGenerationFields(streamed).ok());
  streamed.stop.clear();
  streamed.return_routed_experts = true;
  EXPECT_EQ(http::ParamOf(CheckGenerationFields(streamed)), "stream_routed_experts");
}

}  // namespace
}  // namespace moesaic::router
