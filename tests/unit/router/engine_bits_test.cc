// The same bits whatever shares the step, however prompts are cut, with any number of threads and
// micro-batches, and after preemption.

#include <gtest/gtest.h>

#include <bit>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/router/router_harness.h"

namespace moesaic::router {
namespace {

/// Everything reported, with log-probabilities as bits.
std::vector<std::uint32_t> Bits(const GenerationOutput& output) {
  EXPECT_TRUE(output.last.status.ok()) << output.last.status;
  std::vector<std::uint32_t> bits;
  const auto add = [&bits](const std::vector<TokenLogprob>& entries) {
    for (const TokenLogprob& entry : entries) {
      bits.push_back(entry.token_id);
      bits.push_back(std::bit_cast<std::uint32_t>(entry.logprob));
      for (const auto& [token, logprob] : entry.top) {
        bits.push_back(token);
        bits.push_back(std::bit_cast<std::uint32_t>(logprob));
      }
    }
  };
  add(output.prompt_logprobs);
  add(output.logprobs);
  bits.insert(bits.end(), output.token_ids.begin(), output.token_ids.end());
  bits.insert(bits.end(), output.last.routed_experts.begin(), output.last.routed_experts.end());
  return bits;
}

class EngineBits : public ::testing::TestWithParam<std::string> {
 protected:
  /// Prompts of 1 to 100 tokens, greedy and sampled.
  std::vector<GenerationRequest> Requests() const {
    const GoldenFile golden(GetParam());
    const std::vector<std::int32_t> long_prompt = golden.Ints("p3.input_ids");
    std::vector<GenerationRequest> requests;
    for (const int length : {1, 7, 33, 64, 100}) {
      requests.push_back(
          GreedyRequest({long_prompt.begin() + length, long_prompt.begin() + 2 * length}, 20));
      if (length % 3 == 0) continue;
      requests.back().sampling.temperature = 0.8f;
      requests.back().sampling.seed = 40 + length;
      requests.back().sampling.top_p = 0.9f;
      requests.back().sampling.repetition_penalty = 1.1f;
    }
    return requests;
  }

  std::vector<std::vector<std::uint32_t>> Alone() const {
    RouterHarness router(GetParam(), {.threads = 1});
    std::vector<std::vector<std::uint32_t>> bits;
    for (GenerationRequest& request : Requests()) {
      bits.push_back(Bits(router.Generate(std::move(request))));
    }
    return bits;
  }

  static std::vector<std::vector<std::uint32_t>> Together(RouterHarness& router,
                                                          std::vector<GenerationRequest> requests) {
    std::vector<std::vector<std::uint32_t>> bits;
    for (const GenerationOutput& output : router.Generate(std::move(requests))) {
      bits.push_back(Bits(output));
    }
    return bits;
  }

  void ExpectSameBits(HarnessOptions options) const {
    RouterHarness router(GetParam(), std::move(options));
    EXPECT_EQ(Together(router, Requests()), Alone());
  }
};

TEST_P(EngineBits, TogetherAsAlone) { ExpectSameBits({}); }

TEST_P(EngineBits, WithAnyStepBudget) {
  for (const int budget : {8, 64, 4096}) {
    SCOPED_TRACE(budget);
    ExpectSameBits({.max_step_tokens = budget});
  }
}

TEST_P(EngineBits, WithTwoMicroBatches) {
  ExpectSameBits({.micro_batches = 2});
  ExpectSameBits({.threads = 1, .max_step_tokens = 24, .micro_batches = 2});
}

TEST_P(EngineBits, WithAnotherBlockSize) { ExpectSameBits({.kv_block_tokens = 5}); }

TEST_P(EngineBits, AfterPreemption) {
  // Two of the five sequences fit at their full length. Whether they meet depends on how fast they
  // are submitted: on to the next round until they do.
  RouterHarness router(GetParam(), {.kv_block_tokens = 4, .kv_tokens = 160});
  for (int round = 0; round < 100 && router.scheduler().stats().preemptions == 0; ++round) {
    ASSERT_EQ(Together(router, Requests()), Alone());
  }
  EXPECT_GT(router.scheduler().stats().preemptions, 0u);
}

TEST_P(EngineBits, AfterResuming) {
  // Another router takes over after 5 tokens: it recomputes them and goes on to the same answer.
  RouterHarness router(GetParam(), {});
  for (const GenerationRequest& request : Requests()) {
    const GenerationOutput whole = router.Generate(request);
    GenerationRequest rest = request;
    rest.resume_token_ids.assign(whole.token_ids.begin(), whole.token_ids.begin() + 5);
    const GenerationOutput resumed = router.Generate(rest);
    ASSERT_EQ(resumed.token_ids.size(), 15u);
    EXPECT_TRUE(std::equal(resumed.token_ids.begin(), resumed.token_ids.end(),
                           whole.token_ids.begin() + 5));
    EXPECT_EQ(resumed.last.routed_experts, whole.last.routed_experts);
    EXPECT_EQ(resumed.logprobs.back().logprob, whole.logprobs.back().logprob);
  }
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, EngineBits,
                         ::testing::Values("deepseek_v3", "deepseek_v2_lite", "qwen3_moe_dense1",
                                           "olmoe"),
                         [](const auto& info) { return info.param; });

class EngineBitsOfStorage : public ::testing::TestWithParam<std::optional<base::DType>> {};

TEST_P(EngineBitsOfStorage, TogetherAsAloneInAnyStepUnderBf16) {
  std::vector<GenerationRequest> requests;
  const GoldenFile golden("deepseek_v3");
  for (const char* prompt : {"p0", "p1", "p2"}) {
    requests.push_back(GreedyRequest(golden.Ints(absl::StrCat(prompt, ".input_ids")), 12));
  }
  RouterHarness alone("deepseek_v3",
                      {.compute_dtype = base::DType::kBF16, .weight_dtype = GetParam()});
  RouterHarness together("deepseek_v3", {.compute_dtype = base::DType::kBF16,
                                         .weight_dtype = GetParam(),
                                         .max_step_tokens = 8,
                                         .micro_batches = 2});
  const std::vector<GenerationOutput> outputs = together.Generate(requests);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(Bits(outputs[i]), Bits(alone.Generate(requests[i])));
  }
}

INSTANTIATE_TEST_SUITE_P(Weights, EngineBitsOfStorage,
                         ::testing::Values(std::nullopt, base::DType::kI8));

}  // namespace
}  // namespace moesaic::router
