// A request that lacks experts says for how many tokens, and changes no other.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/router/router_harness.h"

namespace moesaic::router {
namespace {

constexpr int kNewTokens = 8;

std::vector<GenerationRequest> Requests() {
  return MarkedRequests(GoldenFile("deepseek_v3"), kNewTokens);
}

std::vector<float> Logprobs(const GenerationOutput& output) {
  std::vector<float> logprobs;
  for (const TokenLogprob& entry : output.prompt_logprobs) logprobs.push_back(entry.logprob);
  for (const TokenLogprob& entry : output.logprobs) logprobs.push_back(entry.logprob);
  return logprobs;
}

/// Runs the requests with some slots of the marked one left out; the others must not notice.
GenerationOutput RunMarked(testing::LocalExpertBackend::Skip skip, int micro_batches = 1) {
  RouterHarness undisturbed("deepseek_v3", {});
  RouterHarness router("deepseek_v3",
                       {.micro_batches = micro_batches,
                        .skip = [skip = std::move(skip)](const ExpertCall& call, std::int32_t token,
                                                         std::int32_t slot) {
                          return call.deadlines[token] == kMark && skip(call, token, slot);
                        }});
  const std::vector<GenerationOutput> expected = undisturbed.Generate(Requests());
  const std::vector<GenerationOutput> outputs = router.Generate(Requests());
  for (const int i : {0, 2}) {
    EXPECT_EQ(outputs[i].token_ids, expected[i].token_ids);
    EXPECT_EQ(Logprobs(outputs[i]), Logprobs(expected[i]));
    EXPECT_EQ(outputs[i].last.degraded_tokens, 0);
  }
  EXPECT_TRUE(outputs[1].last.status.ok()) << outputs[1].last.status;
  EXPECT_EQ(outputs[1].token_ids.size(), static_cast<std::size_t>(kNewTokens));
  EXPECT_NE(Logprobs(outputs[1]), Logprobs(expected[1]));
  EXPECT_EQ(router.scheduler().stats().degraded_tokens,
            static_cast<std::uint64_t>(outputs[1].last.degraded_tokens));
  return outputs[1];
}

/// Positions that are computed for the marked request: the last token is not.
int MarkedPositions() {
  return static_cast<int>(Requests()[1].prompt_token_ids.size()) + kNewTokens - 1;
}

TEST(EngineDegraded, EveryPositionThatLacksAnExpertCountsOnce) {
  const GenerationOutput output =
      RunMarked([](const ExpertCall& call, std::int32_t token, std::int32_t slot) {
        return slot == call.slot_offsets[token];  // in every MoE layer
      });
  EXPECT_EQ(output.last.degraded_tokens, MarkedPositions());
}

TEST(EngineDegraded, InTwoMicroBatches) {
  const GenerationOutput output =
      RunMarked([](const ExpertCall& call, std::int32_t token,
                   std::int32_t slot) { return slot == call.slot_offsets[token]; },
                /*micro_batches=*/2);
  EXPECT_EQ(output.last.degraded_tokens, MarkedPositions());
}

TEST(EngineDegraded, APromptPositionCountsToo) {
  const GenerationOutput output =
      RunMarked([](const ExpertCall& call, std::int32_t token, std::int32_t slot) {
        // The first row of the prompt's step alone.
        return call.is_prefill[token] && slot == call.slot_offsets[token] &&
               (token == 0 || call.deadlines[token - 1] != kMark);
      });
  EXPECT_EQ(output.last.degraded_tokens, 1);
}

TEST(EngineDegraded, WithoutAnyRoutedExpertTheTokenGoesOn) {
  const GenerationOutput output =
      RunMarked([](const ExpertCall&, std::int32_t, std::int32_t) { return true; });
  EXPECT_EQ(output.last.degraded_tokens, MarkedPositions());
}

}  // namespace
}  // namespace moesaic::router
