#include "router/trace/request_trace.h"

#include <algorithm>

#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"

namespace moesaic::router {
namespace {

class RequestTraceTest : public ::testing::Test {
 protected:
  /// A step of that length, after the ones before.
  void Step(absl::Duration length, std::int32_t rows = 1) {
    const auto timeline = std::make_shared<StepTimeline>(clock_);
    const absl::Duration started = clock_.Monotonic();
    clock_.Advance(length);
    timeline->Finish(clock_.Monotonic(), rows, {});
    trace_.AddStep(timeline, {.started = started, .ended = clock_.Monotonic(), .rows = rows});
    last_ = timeline;
  }

  moesaic::testing::FakeClock clock_;
  RequestTrace trace_{{.request_id = "r"}};
  std::shared_ptr<StepTimeline> last_;
};

TEST_F(RequestTraceTest, KeepsTheFirstAndTheSlowestStepsInDetail) {
  for (int i = 1; i <= 500; ++i) {
    Step(absl::Milliseconds(i == 77 ? 2000 : i == 300 ? 1500 : 10 + i % 7));
  }
  const RequestTrace::Content content = trace_.Snapshot();
  EXPECT_EQ(content.steps.size(), 500u);
  ASSERT_EQ(content.details.size(), RequestTrace::kFirstSteps + RequestTrace::kSlowestSteps);
  EXPECT_EQ(content.details[0].started, content.steps[0].started);
  EXPECT_EQ(content.details[1].started, content.steps[1].started);
  std::vector<absl::Duration> lengths;
  for (const StepTimeline::Content& step : content.details) {
    lengths.push_back(step.ended - step.started);
  }
  EXPECT_EQ(std::count(lengths.begin(), lengths.end(), absl::Milliseconds(2000)), 1);
  EXPECT_EQ(std::count(lengths.begin(), lengths.end(), absl::Milliseconds(1500)), 1);
}

TEST_F(RequestTraceTest, IsBoundedWhateverTheLengthOfTheAnswer) {
  for (int i = 0; i < 100'000; ++i) Step(absl::Milliseconds(1));
  const RequestTrace::Content content = trace_.Snapshot();
  EXPECT_LE(content.steps.size(), RequestTrace::kMaxSummaries);
  EXPECT_GE(content.steps.size(), RequestTrace::kMaxSummaries / 2 - 1);
  std::int32_t steps = 0;
  std::int32_t rows = 0;
  absl::Duration at;
  for (const StepSummary& step : content.steps) {
    EXPECT_GE(step.started, at);
    at = step.ended;
    steps += step.steps;
    rows += step.rows;
  }
  EXPECT_EQ(steps, 100'000);
  EXPECT_EQ(rows, 100'000);
  EXPECT_LT(trace_.bytes(), 200'000u);
}

TEST_F(RequestTraceTest, ChoicesShareAStep) {
  Step(absl::Milliseconds(5), 3);
  trace_.AddStep(last_, {.started = last_->started(), .ended = clock_.Monotonic(), .rows = 4});
  const RequestTrace::Content content = trace_.Snapshot();
  ASSERT_EQ(content.steps.size(), 1u);
  EXPECT_EQ(content.steps[0].rows, 7);
  EXPECT_EQ(content.details.size(), 1u);
}

TEST_F(RequestTraceTest, AStepKeepsSoManySpansAndCountsTheRest) {
  StepTimeline timeline(clock_);
  for (int i = 0; i < 5000; ++i) {
    timeline.AddLayer({});
    timeline.AddDispatch({});
  }
  const StepTimeline::Content content = timeline.Snapshot();
  EXPECT_EQ(content.layers.size(), StepTimeline::kMaxLayers);
  EXPECT_EQ(content.dispatches.size(), StepTimeline::kMaxDispatches);
  EXPECT_EQ(content.dropped, 10'000 - StepTimeline::kMaxLayers - StepTimeline::kMaxDispatches);
}

}  // namespace
}  // namespace moesaic::router
