// The whole forward pass against results of the model authors' own code, all families.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/golden/golden.h"
#include "tests/unit/router/router_harness.h"

namespace moesaic::router {
namespace {

constexpr int kPrompts = 4;

/// The golden expert choices of a prompt, [tokens, MoE layers, top-k] as generations report them.
std::vector<std::int32_t> GoldenRouting(const GoldenFile& golden, const model::ModelConfig& config,
                                        const std::string& prompt) {
  const std::size_t top_k = config.moe.gating.top_k;
  const std::size_t layers = config.moe_layers.size();
  std::vector<std::int32_t> routing;
  for (std::size_t l = 0; l < layers; ++l) {
    const auto ids =
        golden.Ints(absl::StrCat(prompt, ".layers.", config.moe_layers[l].value(), ".topk_idx"));
    const std::size_t tokens = ids.size() / top_k;
    routing.resize(tokens * layers * top_k);
    for (std::size_t t = 0; t < tokens; ++t) {
      std::copy_n(ids.begin() + t * top_k, top_k, routing.begin() + (t * layers + l) * top_k);
    }
  }
  return routing;
}

/// Share of (token, layer) pairs whose sets of experts are equal.
double EqualSets(std::vector<std::int32_t> a, std::vector<std::int32_t> b, std::size_t top_k) {
  EXPECT_EQ(a.size(), b.size());
  std::size_t equal = 0;
  for (std::size_t i = 0; i + top_k <= a.size(); i += top_k) {
    std::sort(a.begin() + i, a.begin() + i + top_k);
    std::sort(b.begin() + i, b.begin() + i + top_k);
    equal += std::equal(a.begin() + i, a.begin() + i + top_k, b.begin() + i);
  }
  return static_cast<double>(equal) / (a.size() / top_k);
}

/// |reported − golden| of every prompt token's log-probability.
std::vector<double> LogprobErrors(const GenerationOutput& output, const GoldenFile& golden,
                                  const std::string& prompt, std::size_t vocab) {
  const std::vector<float> logits = golden.Floats(prompt + ".logits");
  std::vector<double> errors;
  for (std::size_t i = 0; i < output.prompt_logprobs.size(); ++i) {
    const TokenLogprob& entry = output.prompt_logprobs[i];
    errors.push_back(
        std::abs(entry.logprob - GoldenFile::LogSoftmaxAt(logits, vocab, i, entry.token_id)));
  }
  return errors;
}

/// What bf16 may cost against the f32 goldens.
struct Deviation {
  double equal_sets = 0.97;     ///< Share of (token, layer) pairs with the golden set of experts.
  double mean_error = 0.02;     ///< Of the prompts' log-probabilities.
  double replayed_error = 0.1;  ///< Largest, with the golden choices replayed.
};

/// The defaults are the goal. Where we miss it, so does the reference implementation in bf16
/// (random weights make gates nearly tied and attention sharp), and what it measures is the limit:
/// see docs/accuracy.md.
Deviation Bf16LimitsOf(const std::string& checkpoint) {
  if (checkpoint == "mixtral") return {.mean_error = 0.1465};
  if (checkpoint == "deepseek_v2_lite") return {.mean_error = 0.0531, .replayed_error = 0.3087};
  if (checkpoint == "deepseek_v2") return {0.9228, 0.0996, 0.4204};
  if (checkpoint == "deepseek_v3") return {0.8876, 0.1686, 0.3548};
  if (checkpoint == "deepseek_v3_fp8") return {0.8848, 0.1674, 0.4541};
  return {};
}

/// What docs/accuracy.md records, errors plus a tenth.
Deviation Int8LimitsOf(const std::string& checkpoint) {
  if (checkpoint == "olmoe") return {0.94, 0.066, 0.22};
  if (checkpoint == "qwen3_moe") return {0.93, 0.079, 0.24};
  if (checkpoint == "qwen3_moe_dense1") return {0.93, 0.068, 0.25};
  if (checkpoint == "mixtral") return {0.94, 0.153, 0.45};
  if (checkpoint == "deepseek_v2_lite") return {0.9, 0.122, 0.72};
  if (checkpoint == "deepseek_v2") return {0.78, 0.257, 1.03};
  if (checkpoint == "deepseek_v3") return {0.78, 0.338, 0.79};
  return {0.77, 0.325, 0.94};  // deepseek_v3_fp8
}

std::vector<GenerationRequest> PromptRequests(const GoldenFile& golden) {
  std::vector<GenerationRequest> requests;
  for (int p = 0; p < kPrompts; ++p) {
    requests.push_back(GreedyRequest(golden.Ints(absl::StrCat("p", p, ".input_ids")), 1));
  }
  return requests;
}

/// Measured over all prompts, which are computed once freely and once with the golden routing.
Deviation DeviationFromGoldens(const std::string& checkpoint, HarnessOptions options) {
  const GoldenFile golden(checkpoint);
  RouterHarness router(checkpoint, std::move(options));
  const std::vector<GenerationOutput> outputs = router.Generate(PromptRequests(golden));
  std::vector<GenerationRequest> replays = PromptRequests(golden);
  std::vector<std::int32_t> routing;
  std::vector<std::int32_t> golden_routing;
  double sum = 0;
  int count = 0;
  for (int p = 0; p < kPrompts; ++p) {
    const std::string prompt = absl::StrCat("p", p);
    EXPECT_TRUE(outputs[p].last.status.ok()) << outputs[p].last.status;
    replays[p].replay_routed_experts = GoldenRouting(golden, router.config(), prompt);
    const auto& experts = outputs[p].last.routed_experts;
    const auto& expected = replays[p].replay_routed_experts;
    routing.insert(routing.end(), experts.begin(), experts.end());
    golden_routing.insert(golden_routing.end(), expected.begin(), expected.end());
    for (double error : LogprobErrors(outputs[p], golden, prompt, router.config().vocab_size)) {
      sum += error;
      ++count;
    }
  }
  Deviation measured = {EqualSets(routing, golden_routing, router.config().moe.gating.top_k),
                        sum / count, 0};
  const std::vector<GenerationOutput> replayed = router.Generate(std::move(replays));
  for (int p = 0; p < kPrompts; ++p) {
    EXPECT_TRUE(replayed[p].last.status.ok()) << replayed[p].last.status;
    const auto errors =
        LogprobErrors(replayed[p], golden, absl::StrCat("p", p), router.config().vocab_size);
    for (double error : errors) measured.replayed_error = std::max(measured.replayed_error, error);
  }
  ::testing::Test::RecordProperty("equal_sets", absl::StrCat(measured.equal_sets));
  ::testing::Test::RecordProperty("mean_error", absl::StrCat(measured.mean_error));
  ::testing::Test::RecordProperty("largest_error_replayed", absl::StrCat(measured.replayed_error));
  return measured;
}

class EngineGolden : public ::testing::TestWithParam<std::string> {};

TEST_P(EngineGolden, F32GivesTheGoldenChoicesLogprobsAndTokens) {
  const GoldenFile golden(GetParam());
  RouterHarness router(GetParam(), {});
  const std::vector<GenerationOutput> outputs = router.Generate(PromptRequests(golden));
  for (int p = 0; p < kPrompts; ++p) {
    const std::string prompt = absl::StrCat("p", p);
    SCOPED_TRACE(prompt);
    ASSERT_TRUE(outputs[p].last.status.ok()) << outputs[p].last.status;
    EXPECT_EQ(outputs[p].last.routed_experts, GoldenRouting(golden, router.config(), prompt));
    const auto errors = LogprobErrors(outputs[p], golden, prompt, router.config().vocab_size);
    EXPECT_EQ(errors.size(), golden.Ints(prompt + ".input_ids").size() - 1);
    for (std::size_t i = 0; i < errors.size(); ++i) EXPECT_LT(errors[i], 1e-4) << "token " << i + 1;
  }
  const std::vector<std::int32_t> greedy = golden.Ints("p1.greedy");
  const GenerationOutput generated =
      router.Generate(GreedyRequest(golden.Ints("p1.input_ids"), static_cast<int>(greedy.size())));
  EXPECT_EQ(generated.token_ids, greedy);
}

TEST_P(EngineGolden, Bf16StaysCloseToTheGoldens) {
  const Deviation measured =
      DeviationFromGoldens(GetParam(), {.compute_dtype = base::DType::kBF16});
  const Deviation limits = Bf16LimitsOf(GetParam());
  EXPECT_GE(measured.equal_sets, limits.equal_sets);
  EXPECT_LE(measured.mean_error, limits.mean_error);
  EXPECT_LE(measured.replayed_error, limits.replayed_error);
}

TEST_P(EngineGolden, Int8WeightsStayCloseToTheGoldens) {
  const Deviation measured = DeviationFromGoldens(
      GetParam(), {.compute_dtype = base::DType::kBF16, .weight_dtype = base::DType::kI8});
  const Deviation limits = Int8LimitsOf(GetParam());
  EXPECT_GE(measured.equal_sets, limits.equal_sets);
  EXPECT_LE(measured.mean_error, limits.mean_error);
  EXPECT_LE(measured.replayed_error, limits.replayed_error);
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, EngineGolden,
                         ::testing::ValuesIn(testing::GoldenCheckpoints()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace moesaic::router
