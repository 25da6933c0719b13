#include "router/dispatch/expert_call_state.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace moesaic::router {
namespace {

using ::testing::ElementsAre;

class ExpertCallStateTest : public ::testing::Test {
 protected:
  // Two tokens, top-3, units of two experts: token 0 touches units 0 and 2, token 1 unit 1 alone.
  ExpertCallStateTest() {
    call_.top_k = 3;
    call_.hidden_size = 4;
    call_.expert_ids = experts_;
    call_.weights = weights_;
    call_.slot_offsets = offsets_;
  }
  const std::vector<std::int32_t> experts_ = {0, 1, 5, -1, 3, -1};
  const std::vector<float> weights_ = {0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f};
  const std::vector<std::int32_t> offsets_ = {0, 2, 3};
  ExpertCall call_;
};

TEST_F(ExpertCallStateTest, SlotsAreTheDistinctUnitsOfEachToken) {
  const ExpertCallState state(1, call_, 2, [](ExpertOutcome) {});
  ASSERT_EQ(state.slot_count(), 3);
  EXPECT_EQ(state.unit_of(0), base::UnitId(0));
  EXPECT_THAT(state.experts_of(0), ElementsAre(0, 1));
  EXPECT_THAT(state.weights_of(0), ElementsAre(0.1f, 0.2f));
  EXPECT_EQ(state.unit_of(1), base::UnitId(2));
  EXPECT_THAT(state.experts_of(1), ElementsAre(5));
  EXPECT_EQ(state.token_of(2), 1);
  EXPECT_THAT(state.experts_of(2), ElementsAre(3));
  EXPECT_THAT(state.weights_of(2), ElementsAre(0.5f));
  EXPECT_EQ(state.FindSlot(0, base::UnitId(2)), 1);
  EXPECT_EQ(state.FindSlot(1, base::UnitId(2)), -1);
}

TEST_F(ExpertCallStateTest, AddsUpWhatEachTokenCost) {
  ExpertCallState state(1, call_, 2, [](ExpertOutcome) {});
  state.AddWork(0, 2, 0.5);
  state.AddWork(1, 3, std::nullopt);
  state.AddWork(2, 4, 0.25);
  for (int slot = 0; slot < 3; ++slot) state.Claim(slot);
  state.Filled(3, absl::Milliseconds(2), absl::Milliseconds(5));
  ExpertCallState::Done done;
  ExpertOutcome outcome;
  ASSERT_TRUE(state.TakeCompletion(done, outcome));
  EXPECT_EQ(outcome.last_queue_wait, absl::Milliseconds(2));
  EXPECT_EQ(outcome.last_compute, absl::Milliseconds(5));
  ASSERT_EQ(outcome.token_work.size(), 2u);
  EXPECT_EQ(outcome.token_work[0].seconds, 5);
  EXPECT_EQ(outcome.token_work[0].cost, 1);
  EXPECT_EQ(outcome.token_work[0].unpriced_seconds, 3);
  EXPECT_EQ(outcome.token_work[1].seconds, 4);
  EXPECT_EQ(outcome.token_work[1].cost, 1);
}

TEST_F(ExpertCallStateTest, ASkippedSlotIsSettledWithoutFailingItsToken) {
  ExpertCallState state(1, call_, 2, [](ExpertOutcome) {});
  ExpertCallState::Done done;
  ExpertOutcome outcome;
  state.Skip(2);
  state.Skip(0);
  EXPECT_FALSE(state.IsOpen(0));
  EXPECT_FALSE(state.TakeCompletion(done, outcome));
  state.Claim(1);
  state.Filled(1, {}, {});
  ASSERT_TRUE(state.TakeCompletion(done, outcome));
  EXPECT_THAT(outcome.failures, ElementsAre());
  EXPECT_THAT(outcome.skipped_slots, ElementsAre(0, 2));
}

TEST_F(ExpertCallStateTest, CompletesOnceWhenSettledAndUnused) {
  ExpertCallState state(1, call_, 2, [](ExpertOutcome) {});
  ExpertCallState::Done done;
  ExpertOutcome outcome;
  state.BeginUse();
  state.Claim(0);
  EXPECT_FALSE(state.IsOpen(0));
  state.FailToken(0, absl::DeadlineExceededError("late"));
  state.FailToken(0, absl::InternalError("second"));
  state.Claim(2);
  EXPECT_FALSE(state.TakeCompletion(done, outcome)) << "claimed slots are being copied";
  state.Filled(2, {}, {});
  EXPECT_FALSE(state.TakeCompletion(done, outcome)) << "in use";
  state.EndUse();
  ASSERT_TRUE(state.TakeCompletion(done, outcome));
  ASSERT_EQ(outcome.failures.size(), 1u);
  EXPECT_EQ(outcome.failures[0].token, 0);
  EXPECT_EQ(outcome.failures[0].status, absl::DeadlineExceededError("late"));
  EXPECT_FALSE(state.TakeCompletion(done, outcome));
}

TEST_F(ExpertCallStateTest, RefusalsAreRememberedUntilForgotten) {
  ExpertCallState state(1, call_, 2, [](ExpertOutcome) {});
  state.Avoid(1, base::ShardId(4));
  EXPECT_TRUE(state.Avoids(1, base::ShardId(4)));
  EXPECT_FALSE(state.Avoids(0, base::ShardId(4)));
  EXPECT_FALSE(state.Avoids(1, base::ShardId(5)));
  state.ForgetAvoided(1);
  EXPECT_FALSE(state.Avoids(1, base::ShardId(4)));
}

TEST_F(ExpertCallStateTest, AHedgeTakesOverWhatTheOwnerLoses) {
  ExpertCallState state(7, call_, 2, [](ExpertOutcome) {});
  state.SetOwner(0, 11);
  state.SetHedger(0, 12);
  EXPECT_TRUE(state.Owes(0, 11));
  EXPECT_TRUE(state.Owes(0, 12));
  EXPECT_FALSE(state.Owes(0, 13));
  EXPECT_FALSE(state.Disown(0, 11)) << "the hedge still owes it";
  EXPECT_EQ(state.owner(0), 12u);
  EXPECT_EQ(state.hedger(0), 0u);
  EXPECT_TRUE(state.Disown(0, 12));
  state.SetOwner(0, 14);
  state.SetHedger(0, 15);
  EXPECT_FALSE(state.Disown(0, 15)) << "the owner still owes it";
  EXPECT_EQ(state.owner(0), 14u);
  state.Claim(0);
  EXPECT_FALSE(state.Owes(0, 14)) << "answered";
}

}  // namespace
}  // namespace moesaic::router
