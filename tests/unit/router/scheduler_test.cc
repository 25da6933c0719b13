#include "router/scheduler/scheduler.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/mutex.h"
#include "base/retry_delay.h"
#include "http/error_map.h"
#include "router/scheduler/work_meter.h"

namespace moesaic::router {
namespace {

class FakeClock final : public base::Clock {
 public:
  absl::Duration Monotonic() const override {
    base::MutexLock lock(mutex_);
    return now_;
  }
  absl::Time Now() const override { return absl::UnixEpoch() + Monotonic(); }
  void Advance(absl::Duration by) {
    base::MutexLock lock(mutex_);
    now_ += by;
  }

 private:
  mutable base::Mutex mutex_;
  absl::Duration now_ ABSL_GUARDED_BY(mutex_) = absl::Seconds(1000);
};

/// Holds each step until the test ends it. Every sampled token is the number of the step, the
/// expert of every position (one layer, top-1) is its number.
class FakeRunner final : public StepRunner {
 public:
  struct Slice {
    std::int32_t first_position;
    std::size_t tokens;
    bool samples;
    bool operator==(const Slice&) const = default;
  };

  explicit FakeRunner(base::Loop& loop) : loop_(loop) {}

  void Run(StepBatch batch, absl::AnyInvocable<void(StepResult)> done) override {
    base::MutexLock lock(mutex_);
    for (const StepSlice& s : batch.slices) {
      slices_.push_back({s.first_position, s.tokens.size(), s.sample.has_value()});
    }
    batch_ = std::move(batch);
    done_ = std::move(done);
    started_.NotifyAll();
  }
  absl::Status Ready() const override { return absl::OkStatus(); }

  /// Waits for the next step and says what it computes.
  std::vector<Slice> Started() {
    base::MutexLock lock(mutex_);
    while (!done_) started_.Wait(mutex_);
    return std::exchange(slices_, {});
  }

  /// Ends the step in flight; slice `failed` with an error, all with `degraded` tokens each.
  /// The step took `times`.
  void Finish(std::int32_t token = 7, int failed = -1, std::int32_t degraded = 0,
              const StepTimes& times = {}) {
    base::MutexLock lock(mutex_);
    StepResult result;
    result.times = times;
    for (std::size_t i = 0; i < batch_.slices.size(); ++i) {
      SliceResult slice;
      slice.token = token;
      slice.degraded_tokens = degraded;
      if (static_cast<int>(i) == failed) slice.status = absl::UnavailableError("lost");
      if (batch_.slices[i].record_routing) {
        for (std::size_t row = 0; row < batch_.slices[i].tokens.size(); ++row) {
          slice.routing.push_back(batch_.slices[i].first_position + static_cast<int>(row));
        }
      }
      if (batch_.slices[i].score) slice.scores.resize(batch_.slices[i].score->targets.size());
      result.slices.push_back(std::move(slice));
    }
    loop_.PostCompletion([done = std::exchange(done_, nullptr),
                          result = std::move(result)]() mutable { done(std::move(result)); });
  }

 private:
  base::Loop& loop_;
  base::Mutex mutex_;
  base::CondVar started_;
  StepBatch batch_;
  std::vector<Slice> slices_;
  absl::AnyInvocable<void(StepResult)> done_;
};

using Slices = std::vector<FakeRunner::Slice>;

/// Collects the events of one generation.
struct Events {
  base::Mutex mutex;
  base::CondVar changed;
  std::vector<GenerationEvent> events;

  Generator::Sink Sink() {
    return [this](GenerationEvent event) {
      base::MutexLock lock(mutex);
      events.push_back(std::move(event));
      changed.NotifyAll();
    };
  }
  GenerationEvent WaitFor(std::size_t number) {
    base::MutexLock lock(mutex);
    while (events.size() <= number) changed.Wait(mutex);
    return events[number];
  }
  std::size_t count() {
    base::MutexLock lock(mutex);
    return events.size();
  }
};

class SchedulerTest : public ::testing::Test {
 protected:
  void Create(SchedulerOptions options) {
    auto created = Scheduler::Create(std::move(options), runner_, loop_, clock_);
    ASSERT_TRUE(created.ok()) << created.status();
    scheduler_ = *std::move(created);
  }
  ~SchedulerTest() override { loop_.Stop(); }

  /// 8 blocks of 4 tokens, steps of 8, token 2 ends.
  static SchedulerOptions Options() {
    SchedulerOptions options;
    options.bounds.limits = {.max_model_len = 64, .vocab_size = 100};
    options.bounds.max_top_logprobs = 20;
    options.kv_blocks = 8;
    options.block_tokens = 4;
    options.max_num_seqs = 4;
    options.max_step_tokens = 8;
    options.max_queue = 2;
    options.eos_token_ids = {2};
    return options;
  }
  static GenerationRequest Request(int prompt, int max_tokens) {
    GenerationRequest request;
    request.prompt_token_ids.assign(prompt, 5);
    request.max_tokens = max_tokens;
    return request;
  }
  /// Returns when the loop has done everything posted before.
  void Settle() {
    Events settled;
    loop_.PostCompletion([&] {
      base::MutexLock lock(settled.mutex);
      settled.events.emplace_back();
      settled.changed.NotifyAll();
    });
    settled.WaitFor(0);
  }

  FakeClock clock_;
  base::Loop loop_{64};
  FakeRunner runner_{loop_};
  std::unique_ptr<Scheduler> scheduler_;
};

TEST_F(SchedulerTest, PrefillsInChunksThenDecodesUntilTheLimit) {
  Create(Options());
  Events events;
  ASSERT_TRUE(scheduler_->Submit(Request(10, 2), events.Sink()).ok());
  EXPECT_EQ(runner_.Started(), (Slices{{0, 8, false}}));
  runner_.Finish();
  EXPECT_EQ(runner_.Started(), (Slices{{8, 2, true}}));
  runner_.Finish(11);
  EXPECT_EQ(events.WaitFor(0).token_ids, std::vector<std::int32_t>{11});
  EXPECT_EQ(runner_.Started(), (Slices{{10, 1, true}}));
  runner_.Finish(12);
  const GenerationEvent last = events.WaitFor(1);
  EXPECT_EQ(last.token_ids, std::vector<std::int32_t>{12});
  EXPECT_TRUE(last.finished);
  EXPECT_EQ(last.finish_reason, FinishReason::kLength);
  EXPECT_TRUE(scheduler_->Idle());
  EXPECT_EQ(scheduler_->stats().kv_blocks_in_use, 0);
}

TEST_F(SchedulerTest, PromptsJoinGenerationsWithinTheTimeOfAStep) {
  SchedulerOptions options = Options();
  options.kv_blocks = 64;
  options.max_step_tokens = 40;
  options.max_step_time = absl::Milliseconds(100);
  Create(std::move(options));
  Events first, second;
  ASSERT_TRUE(scheduler_->Submit(Request(40, 8), first.Sink()).ok());
  EXPECT_EQ(runner_.Started(), (Slices{{0, 40, true}}));
  ASSERT_TRUE(scheduler_->Submit(Request(40, 8), second.Sink()).ok());
  Settle();
  clock_.Advance(absl::Milliseconds(400));
  runner_.Finish();
  // 40 rows took four times as long as a step may: as few as there are go along.
  EXPECT_EQ(runner_.Started(), (Slices{{40, 1, true}, {0, 16, false}}));
}

TEST_F(SchedulerTest, StreamsTheExpertsThatEachTokenWasChosenAfter) {
  SchedulerOptions options = Options();
  options.bounds.moe_layers = 1;
  options.bounds.top_k = 1;
  Create(std::move(options));
  Events events;
  GenerationRequest request = Request(10, 3);
  request.stream_routed_experts = true;
  ASSERT_TRUE(scheduler_->Submit(std::move(request), events.Sink()).ok());
  for (int step = 0; step < 4; ++step) {
    runner_.Started();
    runner_.Finish();
  }
  EXPECT_EQ(events.WaitFor(0).token_experts, std::vector<std::int32_t>{9});  // the prompt's last
  EXPECT_EQ(events.WaitFor(1).token_experts, std::vector<std::int32_t>{10});
  EXPECT_EQ(events.WaitFor(2).token_experts, std::vector<std::int32_t>{11});
  EXPECT_TRUE(events.WaitFor(2).routed_experts.empty());
}

TEST_F(SchedulerTest, EveryEventSaysHowManyTokensWereDegradedSoFar) {
  Create(Options());
  Events events;
  ASSERT_TRUE(scheduler_->Submit(Request(10, 3), events.Sink()).ok());
  runner_.Started();
  runner_.Finish(7, -1, 5);  // in the prompt, of which nothing is reported yet
  for (const std::int32_t degraded : {0, 1, 0}) {
    runner_.Started();
    runner_.Finish(11, -1, degraded);
  }
  EXPECT_EQ(events.WaitFor(0).degraded_tokens, 5);
  EXPECT_EQ(events.WaitFor(1).degraded_tokens, 6);
  EXPECT_EQ(events.WaitFor(2).degraded_tokens, 6);
  EXPECT_EQ(scheduler_->stats().degraded_tokens, 6u);
}

TEST_F(SchedulerTest, GivesEveryRequestItsPartOfTheTimeOfItsSteps) {
  SchedulerOptions options = Options();
  options.price_per_second = [] { return std::optional<double>(0.5); };
  std::vector<StepSample> samples;
  options.on_step = [&](const StepSample& sample) { samples.push_back(sample); };
  monitoring::Registry registry;
  SchedulerMetrics metrics(registry);
  options.metrics = &metrics;
  Create(options);
  const auto first = std::make_shared<WorkMeter>();
  const auto second = std::make_shared<WorkMeter>();
  Events a, b;
  GenerationRequest request = Request(3, 2);
  request.meter = first;
  ASSERT_TRUE(scheduler_->Submit(request, a.Sink()).ok());
  runner_.Started();
  request = Request(6, 1);
  request.meter = second;
  ASSERT_TRUE(scheduler_->Submit(request, b.Sink()).ok());
  Settle();
  StepTimes times;
  times[StepPhase::kAttention] = 3;
  times[StepPhase::kExpert] = 10;
  runner_.Finish(7, -1, 0, times);
  a.WaitFor(0);
  EXPECT_EQ(first->Total().work.prefill.router_seconds, 3);
  EXPECT_EQ(first->Total().work.prefill.cost, 1.5);
  EXPECT_EQ(first->Total().steps[StepPhase::kExpert], 10);
  // One row goes on with the first, six are the second's prompt.
  EXPECT_EQ(runner_.Started(), (Slices{{3, 1, true}, {0, 6, true}}));
  times[StepPhase::kAttention] = 14;
  runner_.Finish(8, 1, 0, times);
  a.WaitFor(1);
  b.WaitFor(0);
  EXPECT_EQ(first->Total().work.decode.router_seconds, 2);
  EXPECT_EQ(second->Total().work.prefill.router_seconds, 12) << "although it failed";
  EXPECT_EQ(metrics.busy_prefill.Value(), 15);
  EXPECT_EQ(metrics.busy_decode.Value(), 2);
  EXPECT_EQ(metrics.prefill.phases[static_cast<std::size_t>(StepPhase::kExpert)].Value(), 20);
  EXPECT_EQ(metrics.prefill.steps.Value(), 2) << "the second has rows of a prompt too";
  EXPECT_EQ(metrics.prefill.rows.Value(), 10);
  EXPECT_EQ(metrics.decode.steps.Value(), 0);
  Settle();  // a sample comes when the next step has begun
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[1].prefill_rows, 6);
  EXPECT_EQ(samples[1].decode_rows, 1);
  EXPECT_EQ(samples[1].sampled_rows, 2);
}

TEST_F(SchedulerTest, EndsAtAnEosToken) {
  Create(Options());
  Events events;
  ASSERT_TRUE(scheduler_->Submit(Request(3, 9), events.Sink()).ok());
  runner_.Started();
  runner_.Finish(2);
  const GenerationEvent last = events.WaitFor(0);
  EXPECT_TRUE(last.finished);
  EXPECT_TRUE(last.last_is_stop_token);
  EXPECT_EQ(last.finish_reason, FinishReason::kStop);
}

TEST_F(SchedulerTest, ScoresAPromptWithoutGenerating) {
  Create(Options());
  Events events;
  GenerationRequest request = Request(12, 0);
  request.prompt_top_logprobs = 0;
  ASSERT_TRUE(scheduler_->Submit(std::move(request), events.Sink()).ok());
  EXPECT_EQ(runner_.Started(), (Slices{{0, 8, false}}));
  runner_.Finish();
  EXPECT_EQ(runner_.Started(), (Slices{{8, 4, false}}));
  runner_.Finish();
  const GenerationEvent only = events.WaitFor(0);
  EXPECT_TRUE(only.finished);
  EXPECT_EQ(only.prompt_logprobs.size(), 11u);
  EXPECT_TRUE(only.token_ids.empty());
}

TEST_F(SchedulerTest, RefusesWhatCanNeverFitAndAFullQueue) {
  Create(Options());
  Events events;
  EXPECT_EQ(scheduler_->Submit(Request(33, 1), events.Sink()).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(http::ErrorCodeOf(scheduler_->Submit(Request(60, 5), events.Sink()).status()),
            "context_length_exceeded");
  ASSERT_TRUE(scheduler_->Submit(Request(30, 3), events.Sink()).ok());
  runner_.Started();  // it runs and holds the step
  ASSERT_TRUE(scheduler_->Submit(Request(1, 1), events.Sink()).ok());
  ASSERT_TRUE(scheduler_->Submit(Request(1, 1), events.Sink()).ok());
  const absl::Status full = scheduler_->Submit(Request(1, 1), events.Sink()).status();
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(base::RetryDelay(full).has_value());
}

TEST_F(SchedulerTest, ACancelledGenerationLeavesAfterItsStep) {
  Create(Options());
  Events events;
  const auto handle = scheduler_->Submit(Request(3, 9), events.Sink());
  ASSERT_TRUE(handle.ok());
  runner_.Started();
  scheduler_->Cancel(*handle);
  Settle();
  EXPECT_FALSE(scheduler_->Idle());  // the step borrows from it
  runner_.Finish();
  Settle();
  EXPECT_TRUE(scheduler_->Idle());
  EXPECT_EQ(events.count(), 0u);
  EXPECT_EQ(scheduler_->stats().kv_blocks_in_use, 0);
}

TEST_F(SchedulerTest, ACancelledWaitingGenerationMakesRoomInTheQueue) {
  Create(Options());
  Events events;
  ASSERT_TRUE(scheduler_->Submit(Request(30, 3), events.Sink()).ok());
  runner_.Started();
  const auto waiting = scheduler_->Submit(Request(1, 1), events.Sink());
  ASSERT_TRUE(scheduler_->Submit(Request(1, 1), events.Sink()).ok());
  scheduler_->Cancel(*waiting);
  Settle();
  EXPECT_TRUE(scheduler_->Submit(Request(1, 1), events.Sink()).ok());
}

TEST_F(SchedulerTest, AnOverdueGenerationFailsWhetherItWaitsOrRuns) {
  Create(Options());
  Events running;
  Events waiting;
  GenerationRequest first = Request(30, 3);
  first.deadline = clock_.Monotonic() + absl::Seconds(5);
  GenerationRequest second = Request(1, 1);
  second.deadline = first.deadline;
  ASSERT_TRUE(scheduler_->Submit(std::move(first), running.Sink()).ok());
  runner_.Started();
  ASSERT_TRUE(scheduler_->Submit(std::move(second), waiting.Sink()).ok());
  clock_.Advance(absl::Seconds(6));
  EXPECT_EQ(waiting.WaitFor(0).status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(running.WaitFor(0).status.code(), absl::StatusCode::kDeadlineExceeded);
  runner_.Finish();
  Settle();
  EXPECT_TRUE(scheduler_->Idle());
  EXPECT_EQ(running.count(), 1u);
}

TEST_F(SchedulerTest, AFailedSliceEndsItsGenerationOnly) {
  Create(Options());
  Events first;
  Events second;
  Events third;
  ASSERT_TRUE(scheduler_->Submit(Request(8, 2), first.Sink()).ok());
  runner_.Started();
  ASSERT_TRUE(scheduler_->Submit(Request(2, 2), second.Sink()).ok());
  ASSERT_TRUE(scheduler_->Submit(Request(2, 2), third.Sink()).ok());
  Settle();
  runner_.Finish();
  EXPECT_EQ(runner_.Started(), (Slices{{8, 1, true}, {0, 2, true}, {0, 2, true}}));
  runner_.Finish(7, /*failed=*/1);
  EXPECT_EQ(second.WaitFor(0).status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(third.WaitFor(0).status.ok());
  EXPECT_TRUE(first.WaitFor(1).status.ok());
}

TEST_F(SchedulerTest, ThePreemptedYoungestIsRecomputedFromItsStart) {
  SchedulerOptions options = Options();
  options.kv_blocks = 3;
  Create(std::move(options));
  Events older;
  Events younger;
  ASSERT_TRUE(scheduler_->Submit(Request(4, 5), older.Sink()).ok());
  runner_.Started();
  ASSERT_TRUE(scheduler_->Submit(Request(4, 5), younger.Sink()).ok());
  Settle();
  runner_.Finish();
  EXPECT_EQ(runner_.Started(), (Slices{{4, 1, true}, {0, 4, true}}));
  runner_.Finish();  // the older one holds 2 blocks, the younger one needs a second
  EXPECT_EQ(runner_.Started(), (Slices{{5, 1, true}}));
  EXPECT_EQ(scheduler_->stats().preemptions, 1u);
  for (int position = 6; position < 8; ++position) {
    runner_.Finish();
    EXPECT_EQ(runner_.Started(), (Slices{{position, 1, true}}));
  }
  runner_.Finish();
  EXPECT_TRUE(older.WaitFor(4).finished);
  EXPECT_EQ(runner_.Started(), (Slices{{0, 5, true}}));  // prompt and its one generated token
  runner_.Finish();
  EXPECT_EQ(younger.WaitFor(1).token_ids.size(), 1u);
}

TEST_F(SchedulerTest, DrainingRefusesNewAndFinishesOld) {
  Create(Options());
  Events events;
  ASSERT_TRUE(scheduler_->Submit(Request(3, 1), events.Sink()).ok());
  runner_.Started();
  EXPECT_TRUE(scheduler_->Ready().ok());
  scheduler_->StartDrain();
  EXPECT_EQ(scheduler_->Submit(Request(3, 1), events.Sink()).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(scheduler_->Ready().code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(scheduler_->Idle());
  runner_.Finish();
  EXPECT_TRUE(events.WaitFor(0).finished);
  EXPECT_TRUE(scheduler_->Idle());
}

TEST_F(SchedulerTest, ASilentLoopIsNotReady) {
  Create(Options());
  Settle();
  loop_.Stop();
  clock_.Advance(absl::Minutes(1));
  EXPECT_EQ(scheduler_->Ready().code(), absl::StatusCode::kUnavailable);
}

TEST_F(SchedulerTest, RefusesImpossibleOptions) {
  SchedulerOptions options = Options();
  options.kv_blocks = 0;
  EXPECT_EQ(Scheduler::Create(options, runner_, loop_, clock_).status().code(),
            absl::StatusCode::kInvalidArgument);
  options = Options();
  options.micro_batches = 3;
  EXPECT_EQ(Scheduler::Create(options, runner_, loop_, clock_).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace moesaic::router
