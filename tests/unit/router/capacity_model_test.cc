#include "router/scheduler/capacity_model.h"

#include "gtest/gtest.h"

namespace moesaic::router {
namespace {

/// A step that costs this machine 2 ms + 0.1 ms a row, and the shards 3 ms + 0.2 ms a row.
StepSample Step(int prefill, int decode, int ended_prompts) {
  StepSample step{.prefill_rows = prefill,
                  .decode_rows = decode,
                  .sampled_rows = decode + ended_prompts,
                  .seconds = 5e-3 + 3e-4 * (prefill + decode),
                  .times = {}};
  step.times[StepPhase::kExpert] = 3e-3 + 2e-4 * (prefill + decode);
  return step;
}

TEST(CapacityModelTest, KnowsNothingBeforeItHasSeenEnough) {
  CapacityModel model({.max_num_seqs = 8, .max_step_tokens = 512, .kv_tokens = 100'000});
  EXPECT_EQ(model.Predict().tokens_per_second, 0);
  model.OnStep(Step(9, 0, 1), absl::Seconds(1));
  EXPECT_EQ(model.Predict().tokens_per_second, 0);
}

TEST(CapacityModelTest, FindsWhatFullStepsDeliver) {
  CapacityModel model({.max_num_seqs = 8, .max_step_tokens = 512, .kv_tokens = 100'000});
  for (int round = 0; round < 42; ++round) {
    const absl::Duration now = absl::Seconds(1000) + absl::Milliseconds(100 * round);
    model.OnStep(Step(30 + 60 * (round % 3), 0, 1), now);
    for (int token = 1; token < 10; ++token) model.OnStep(Step(0, 1, 0), now);
  }
  // Eight sequences choose 8 tokens a step, with 0.8 prompts of about 90 rows and 7.2 rows of
  // answers.
  const Capacity capacity = model.Predict();
  const double rows = 8 * (9 + 0.9);
  EXPECT_NEAR(capacity.step_seconds, 5e-3 + 3e-4 * rows, 2e-4);
  EXPECT_NEAR(capacity.tokens_per_second, 8 / (5e-3 + 3e-4 * rows), 8);
  EXPECT_NEAR(capacity.waiting_share, (3e-3 + 2e-4 * rows) / (5e-3 + 3e-4 * rows), 0.02);
  EXPECT_FALSE(capacity.limited_by_kv);
}

TEST(CapacityModelTest, TheTokensOfAStepAndTheCacheAreLimits) {
  CapacityModel narrow({.max_num_seqs = 64, .max_step_tokens = 99, .kv_tokens = 100'000});
  CapacityModel small({.max_num_seqs = 64, .max_step_tokens = 512, .kv_tokens = 190});
  for (CapacityModel* model : {&narrow, &small}) {
    for (int round = 0; round < 42; ++round) {
      model->OnStep(Step(30 + 60 * (round % 3), 0, 1), absl::Seconds(1));
      for (int token = 1; token < 10; ++token) model->OnStep(Step(0, 1, 0), absl::Seconds(1));
    }
  }
  EXPECT_NEAR(narrow.Predict().tokens_per_second, 10 / (5e-3 + 3e-4 * 99), 10);
  EXPECT_EQ(small.Predict().sequences, 2);
  EXPECT_TRUE(small.Predict().limited_by_kv);
}

TEST(CapacityModelTest, ThroughputFades) {
  CapacityModel model({.max_num_seqs = 8, .max_step_tokens = 512, .kv_tokens = 1000});
  for (int i = 0; i < 1000; ++i) model.OnStep(Step(0, 5, 0), absl::Milliseconds(100 * i));
  EXPECT_NEAR(model.Throughput(absl::Seconds(100)), 50, 1);
  EXPECT_LT(model.Throughput(absl::Seconds(150)), 1);
}

}  // namespace
}  // namespace moesaic::router
