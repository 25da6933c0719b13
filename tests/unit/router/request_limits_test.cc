#include "router/admission/request_limits.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "http/error_map.h"

namespace moesaic::router {
namespace {

const RequestBounds kBounds = {
    .limits = {.max_model_len = 32, .kv_capacity_tokens = 24, .vocab_size = 100},
    .moe_layers = 2,
    .top_k = 2,
    .num_experts = 4,
    .max_top_logprobs = 20};

GenerationRequest Request() {
  GenerationRequest request;
  request.prompt_token_ids = {1, 2, 3};
  request.max_tokens = 4;
  return request;
}

TEST(RequestLimitsTest, AcceptsWhatFits) {
  EXPECT_TRUE(CheckRequest(Request(), kBounds).ok());
  GenerationRequest replay = Request();
  replay.replay_routed_experts = {0, 1, 3, 2};
  EXPECT_TRUE(CheckRequest(replay, kBounds).ok());
}

struct Case {
  std::string name;
  std::function<void(GenerationRequest&)> spoil;
};

class RequestLimitsRefuses : public ::testing::TestWithParam<Case> {};

TEST_P(RequestLimitsRefuses, InvalidArgument) {
  GenerationRequest request = Request();
  GetParam().spoil(request);
  EXPECT_EQ(CheckRequest(request, kBounds).code(), absl::StatusCode::kInvalidArgument);
}

INSTANTIATE_TEST_SUITE_P(
    Table, RequestLimitsRefuses,
    ::testing::Values(
        Case{"EmptyPrompt", [](auto& r) { r.prompt_token_ids.clear(); }},
        Case{"NegativeMaxTokens", [](auto& r) { r.max_tokens = -1; }},
        Case{"PromptTokenBeyondVocabulary", [](auto& r) { r.prompt_token_ids[1] = 100; }},
        Case{"NegativeResumeToken", [](auto& r) { r.resume_token_ids = {-1}; }},
        Case{"MoreResumedThanAsked", [](auto& r) { r.resume_token_ids.assign(5, 1); }},
        Case{"BiasBeyondVocabulary",
             [](auto& r) {
               r.sampling.logit_bias = {{100, 1.0f}};
             }},
        Case{"TooManyAlternatives", [](auto& r) { r.top_logprobs = 21; }},
        Case{"NegativePromptAlternatives", [](auto& r) { r.prompt_top_logprobs = -1; }},
        Case{"RaggedReplay",
             [](auto& r) {
               r.replay_routed_experts = {0, 1, 2};
             }},
        Case{"ReplayOfAnUnknownExpert",
             [](auto& r) {
               r.replay_routed_experts = {0, 1, 2, 4};
             }},
        Case{"ReplayOfAnExpertTwice",
             [](auto& r) {
               r.replay_routed_experts = {0, 1, 2, 2};
             }}),
    [](const auto& info) { return info.param.name; });

TEST(RequestLimitsTest, NamesContextAndCacheAsTheReason) {
  GenerationRequest beyond_context = Request();
  beyond_context.max_tokens = 30;
  EXPECT_EQ(http::ErrorCodeOf(CheckRequest(beyond_context, kBounds)), "context_length_exceeded");
  GenerationRequest beyond_cache = Request();
  beyond_cache.max_tokens = 23;
  EXPECT_EQ(http::ErrorCodeOf(CheckRequest(beyond_cache, kBounds)), "context_length_exceeded");
  beyond_cache.max_tokens = 22;  // the last token is never computed on
  EXPECT_TRUE(CheckRequest(beyond_cache, kBounds).ok());
}

}  // namespace
}  // namespace moesaic::router
