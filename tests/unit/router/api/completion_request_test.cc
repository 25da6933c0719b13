#include "router/api/completion_request.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "http/error_map.h"

namespace moesaic::router {
namespace {

using ::testing::ElementsAre;
using ::testing::VariantWith;

using Ids = std::vector<std::int32_t>;

absl::StatusOr<CompletionRequest> ParseCompletion(const std::string& body) {
  return ParseCompletionRequest(Json::parse(body));
}

TEST(CompletionRequestTest, PromptInAllFourForms) {
  EXPECT_THAT(ParseCompletion(R"({"prompt":"a"})")->prompts,
              ElementsAre(VariantWith<std::string>("a")));
  EXPECT_THAT(ParseCompletion(R"({"prompt":["a","b"]})")->prompts,
              ElementsAre(VariantWith<std::string>("a"), VariantWith<std::string>("b")));
  EXPECT_THAT(ParseCompletion(R"({"prompt":[1,2]})")->prompts,
              ElementsAre(VariantWith<Ids>(Ids{1, 2})));
  EXPECT_THAT(ParseCompletion(R"({"prompt":[[1],[2,3]]})")->prompts,
              ElementsAre(VariantWith<Ids>(Ids{1}), VariantWith<Ids>(Ids{2, 3})));
}

TEST(CompletionRequestTest, ErrorsNameTheField) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({})", "prompt"},
      {R"({"prompt":3})", "prompt"},
      {R"({"prompt":[]})", "prompt"},
      {R"({"prompt":[1,"a"]})", "prompt"},
      {R"({"prompt":[[1],["a"]]})", "prompt"},
      {R"({"prompt":"a","logprobs":6})", "logprobs"},
      {R"({"prompt":"a","logprobs":true})", "logprobs"},
      {R"({"prompt":"a","echo":1})", "echo"},
      {R"({"prompt":"a","max_tokens":0})", "max_tokens"},
      {R"({"prompt":"a","best_of":2})", "best_of"},
      {R"({"prompt":"a","suffix":"b"})", "suffix"},
      {R"({"prompt":"a","temperature":9})", "temperature"},
  };
  for (const auto& [body, param] : cases) {
    const auto request = ParseCompletion(body);
    EXPECT_EQ(request.status().code(), absl::StatusCode::kInvalidArgument) << body;
    EXPECT_EQ(http::ParamOf(request.status()), param) << body;
  }
}

TEST(CompletionRequestTest, UnbuiltOnesSaySo) {
  EXPECT_EQ(http::ErrorCodeOf(ParseCompletion(R"({"prompt":"a","best_of":2})").status()),
            "unsupported_parameter");
  EXPECT_EQ(http::ErrorCodeOf(ParseCompletion(R"({"prompt":"a","suffix":"b"})").status()),
            "unsupported_parameter");
  EXPECT_TRUE(ParseCompletion(R"({"prompt":"a","n":2,"best_of":2,"suffix":""})").ok());
}

TEST(CompletionRequestTest, MaxTokens) {
  EXPECT_EQ(ParseCompletion(R"({"prompt":"a"})")->max_tokens, 16);
  EXPECT_EQ(ParseCompletion(R"({"prompt":"a","min_tokens":20})")->max_tokens, 20);
  EXPECT_EQ(ParseCompletion(R"({"prompt":"a","echo":true,"max_tokens":0})")->max_tokens, 0);
}

}  // namespace
}  // namespace moesaic::router
