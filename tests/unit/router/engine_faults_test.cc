// What goes wrong with one request stays with it.

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "tests/unit/router/router_harness.h"

namespace moesaic::router {
namespace {

/// The marked request fails with `code`; the others give what they give without it.
void ExpectOnlyTheMarkedOneFails(RouterHarness& router, absl::StatusCode code) {
  const GoldenFile golden("olmoe");
  RouterHarness undisturbed("olmoe", {});
  const std::vector<GenerationOutput> expected = undisturbed.Generate(MarkedRequests(golden, 8));
  const std::vector<GenerationOutput> outputs = router.Generate(MarkedRequests(golden, 8));
  EXPECT_EQ(outputs[1].last.status.code(), code) << outputs[1].last.status;
  EXPECT_TRUE(outputs[1].last.finished);
  for (const int i : {0, 2}) {
    EXPECT_TRUE(outputs[i].last.status.ok()) << outputs[i].last.status;
    EXPECT_EQ(outputs[i].token_ids, expected[i].token_ids);
  }
  EXPECT_TRUE(router.scheduler().Idle());
  EXPECT_EQ(router.scheduler().stats().kv_blocks_in_use, 0);
}

/// Overwrites the marked request's rows after a layer.
LayerObserver Poison(std::uint32_t layer, float value) {
  return [=](base::LayerId at, const MicroBatch& batch, const base::TensorView& residual) {
    if (at.value() != layer) return;
    for (std::int32_t row = 0; row < batch.rows; ++row) {
      if (batch.deadlines[row] != kMark) continue;
      for (std::int64_t i = 0; i < residual.dim(1); ++i) {
        residual.As<float>()[row * residual.dim(1) + i] = value;
      }
    }
  };
}

TEST(EngineFaults, AFailedExpertRowFailsItsRequest) {
  RouterHarness router("olmoe", {.fault = [](const ExpertCall& call, std::int32_t token) {
                         return call.deadlines[token] == kMark && call.layer.value() == 1
                                    ? absl::UnavailableError("no replica")
                                    : absl::OkStatus();
                       }});
  ExpectOnlyTheMarkedOneFails(router, absl::StatusCode::kUnavailable);
}

TEST(EngineFaults, ANanBeforeAGateFailsItsRequest) {
  RouterHarness router("olmoe", {.observer = Poison(0, std::numeric_limits<float>::quiet_NaN())});
  ExpectOnlyTheMarkedOneFails(router, absl::StatusCode::kInternal);
}

TEST(EngineFaults, ANonFiniteLogitFailsItsRequest) {
  RouterHarness router("olmoe", {.observer = Poison(2, std::numeric_limits<float>::quiet_NaN())});
  ExpectOnlyTheMarkedOneFails(router, absl::StatusCode::kInternal);
}

TEST(EngineFaults, RefusesACacheWithoutABlock) {
  auto checkpoint = model::Checkpoint::Open(GoldenCheckpointDir("olmoe"));
  ASSERT_TRUE(checkpoint.ok());
  base::ComputePool pool(1);
  auto backend = testing::LocalExpertBackend::Create(**checkpoint, base::DType::kF32, std::nullopt,
                                                     base::DType::kF32, 1, pool);
  ASSERT_TRUE(backend.ok());
  RouterCoreOptions options;
  options.kv_cache_bytes = 1;
  const auto core = RouterCore::Create(
      **checkpoint, options, pool, **backend, [](int, int) {}, base::Clock::Real());
  EXPECT_EQ(core.status().code(), absl::StatusCode::kInvalidArgument) << core.status();
}

TEST(EngineFaults, RefusesAContextBeyondTheModels) {
  auto checkpoint = model::Checkpoint::Open(GoldenCheckpointDir("olmoe"));
  ASSERT_TRUE(checkpoint.ok());
  base::ComputePool pool(1);
  auto backend = testing::LocalExpertBackend::Create(**checkpoint, base::DType::kF32, std::nullopt,
                                                     base::DType::kF32, 1, pool);
  ASSERT_TRUE(backend.ok());
  RouterCoreOptions options;
  options.max_model_len = 5000;  // the checkpoint says 4096
  const auto core = RouterCore::Create(
      **checkpoint, options, pool, **backend, [](int, int) {}, base::Clock::Real());
  EXPECT_EQ(core.status().code(), absl::StatusCode::kInvalidArgument) << core.status();
}

}  // namespace
}  // namespace moesaic::router
