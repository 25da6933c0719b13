#include "router/api/call_plan.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "http/error_map.h"

namespace moesaic::router {
namespace {

class CallPlanTest : public testing::Test {
 protected:
  PlanContext Context() const {
    return {.generation_config = config_,
            .limits = {.max_model_len = 100, .kv_capacity_tokens = 1000, .vocab_size = 10},
            .max_choices = 8,
            .request_id = "r",
            .arrived = absl::Seconds(5),
            .timeout = absl::Seconds(60),
            .fallback_seed = 42};
  }
  absl::StatusOr<CallPlan> Plan(std::vector<std::vector<std::int32_t>> prompts = {{1, 2, 3}}) {
    return MakeCallPlan(fields_, prompts, Context());
  }

  model::GenerationConfig config_;
  GenerationFields fields_;
};

TEST_F(CallPlanTest, ApiDefaults) {
  const auto plan = Plan();
  ASSERT_TRUE(plan.ok()) << plan.status();
  const GenerationRequest& generation = plan->generations.at(0);
  EXPECT_EQ(generation.sampling.temperature, 1.0f);
  EXPECT_EQ(generation.sampling.top_p, 1.0f);
  EXPECT_EQ(generation.sampling.top_k, 0);
  EXPECT_EQ(generation.sampling.seed, 42u);
  EXPECT_EQ(generation.max_tokens, 97);
  EXPECT_EQ(generation.deadline, absl::Seconds(65));
  EXPECT_EQ(generation.request_id, "r");
}

TEST_F(CallPlanTest, RequestBeforeGenerationConfigBeforeApi) {
  config_.do_sample = false;  // does not count, as in vLLM
  config_.temperature = 0.6f;
  config_.top_p = 0.95f;
  config_.top_k = 20;
  config_.repetition_penalty = 1.1f;
  config_.max_new_tokens = 50;
  fields_.top_p = 0.5f;
  fields_.top_k = -1;
  const auto plan = Plan();
  ASSERT_TRUE(plan.ok()) << plan.status();
  const GenerationRequest& generation = plan->generations.at(0);
  EXPECT_EQ(generation.sampling.temperature, 0.6f);
  EXPECT_EQ(generation.sampling.top_p, 0.5f);
  EXPECT_EQ(generation.sampling.top_k, 0);
  EXPECT_EQ(generation.sampling.repetition_penalty, 1.1f);
  EXPECT_EQ(generation.max_tokens, 50);
}

TEST_F(CallPlanTest, ChoicesOfEveryPrompt) {
  fields_.n = 2;
  const auto plan = Plan({{1}, {2, 3}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->generations.size(), 4u);
  EXPECT_EQ(plan->choices_per_prompt, 2);
  EXPECT_EQ(plan->generations[1].choice, 1);
  EXPECT_EQ(plan->generations[2].choice, 0);
  EXPECT_EQ(plan->generations[1].max_tokens, 99);
  EXPECT_EQ(plan->generations[3].max_tokens, 98);
}

TEST_F(CallPlanTest, TooManyChoices) {
  fields_.n = 5;
  EXPECT_EQ(http::ParamOf(Plan({{1}, {2}}).status()), "n");
}

TEST_F(CallPlanTest, ContextLength) {
  fields_.max_tokens = 97;
  EXPECT_TRUE(Plan().ok());
  fields_.max_tokens = 98;
  EXPECT_EQ(http::ErrorCodeOf(Plan().status()), "context_length_exceeded");
  fields_.max_tokens.reset();
  const std::vector<std::int32_t> long_prompt(100, 1);
  EXPECT_EQ(http::ErrorCodeOf(Plan({long_prompt}).status()), "context_length_exceeded");
}

TEST_F(CallPlanTest, HooksNeedTheirOption) {
  fields_.return_routed_experts = true;
  EXPECT_EQ(http::ErrorCodeOf(Plan().status()), "unsupported_parameter");
  fields_.return_routed_experts = false;
  fields_.stream_routed_experts = true;
  EXPECT_EQ(http::ParamOf(Plan().status()), "stream_routed_experts");
  fields_.stream_routed_experts = false;
  fields_.replay_routed_experts = {1};
  EXPECT_EQ(http::ParamOf(Plan().status()), "replay_routed_experts");
}

}  // namespace
}  // namespace moesaic::router
