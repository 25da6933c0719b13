#include "shard/dispatch_engine.h"

#include <future>
#include <map>
#include <thread>
#include <vector>

#include "base/compute_pool.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "monitoring/registry.h"
#include "tests/testing/fake_clock.h"
#include "tests/unit/shard/tiny_checkpoint.h"

namespace moesaic::shard {
namespace {

using ::testing::Pair;
using ::testing::UnorderedElementsAre;

constexpr rpc::StreamId kStream = 1;
constexpr rpc::StreamId kOtherStream = 12;
constexpr rpc::StreamId kThirdStream = 13;

/// An engine of a shard that holds nothing: what it computes it answers with missing units.
class DispatchEngineTest : public ::testing::Test {
 protected:
  DispatchEngineTest()
      : checkpoint_(OpenTinyCheckpoint()),
        hidden_(static_cast<std::uint32_t>(checkpoint_->config().hidden_size)),
        store_(
            *ExpertStore::Create(*checkpoint_, {.unit_size = 4, .memory_bytes = 1 << 20}, pool_)),
        metrics_(registry_, store_->topology()),
        executor_({.topology = store_->topology(),
                   .hidden_size = checkpoint_->config().hidden_size,
                   .intermediate_size = checkpoint_->config().moe.expert_intermediate_size,
                   .compute_dtype = base::DType::kF32},
                  pool_, buffers_, clock_),
        engine_({.hidden_size = hidden_,
                 .wire_dtype = rpc::WireDtype::kF32,
                 .batching = {.max_batch_rows = 1, .queue_bytes_per_router = 1 << 20}},
                *store_, executor_, metrics_, clock_),
        row_(hidden_ * sizeof(float)) {}

  /// One row through one expert.
  void Dispatch(std::uint64_t id, std::uint64_t remaining_us) {
    rpc::Dispatch dispatch;
    dispatch.dispatch_id = id;
    dispatch.layer = base::LayerId(1);
    dispatch.dtype = rpc::WireDtype::kF32;
    dispatch.remaining_us = remaining_us;
    dispatch.row_count = 1;
    dispatch.rows = row_;
    dispatch.row_index = kRowIndex;
    dispatch.expert_id = kExpertId;
    dispatch.weight = kWeight;
    engine_.OnDispatch(kStream, std::move(dispatch));
  }

  static constexpr std::uint32_t kRowIndex[] = {0};
  static constexpr std::uint32_t kExpertId[] = {3};
  static constexpr float kWeight[] = {1};

  base::ComputePool pool_{1};
  rpc::BufferPool buffers_;
  testing::FakeClock clock_;
  monitoring::Registry registry_;
  std::unique_ptr<model::Checkpoint> checkpoint_;
  std::uint32_t hidden_;
  std::unique_ptr<ExpertStore> store_;
  ShardMetrics metrics_;
  FfnExecutor executor_;
  DispatchEngine engine_;
  std::vector<std::byte> row_;
};

TEST_F(DispatchEngineTest, WhatIsBeingRefusedIsNotDrained) {
  std::promise<void> computed, queued;
  base::Mutex mutex;
  std::map<std::uint64_t, std::uint32_t> left;  // by dispatch: unanswered when its answer went out
  engine_.SetReplySink([&](rpc::StreamId, const rpc::DispatchReply& reply) {
    if (reply.dispatch_id == 1) {
      computed.set_value();
      queued.get_future().wait();
    }
    const std::uint32_t now = engine_.AwaitDrained(absl::ZeroDuration());
    base::MutexLock lock(mutex);
    left[reply.dispatch_id] = now;
  });
  ASSERT_TRUE(engine_.OnOpen(kStream, {}).ok());
  ASSERT_TRUE(engine_.OnOpen(kOtherStream, {}).ok());  // so that the pool computes
  Dispatch(1, 0);
  computed.get_future().wait();
  Dispatch(2, 1);
  Dispatch(3, 0);
  const std::uint64_t cancelled[] = {3};
  engine_.OnCancel(kStream, cancelled);
  clock_.Advance(absl::Seconds(1));
  queued.set_value();
  EXPECT_EQ(engine_.AwaitDrained(absl::Seconds(10)), 0u);
  base::MutexLock lock(mutex);
  EXPECT_THAT(left, UnorderedElementsAre(Pair(1, 2), Pair(2, 1), Pair(3, 3)));
}

TEST_F(DispatchEngineTest, TheOnlyRoutersTokenIsComputedOnThePollingThread) {
  std::vector<std::thread::id> computed_on;
  engine_.SetReplySink([&](rpc::StreamId, const rpc::DispatchReply&) {
    computed_on.push_back(std::this_thread::get_id());
  });
  ASSERT_TRUE(engine_.OnOpen(kStream, {}).ok());
  rpc::PeerHello prefill;
  prefill.lane = rpc::Lane::kPrefill;
  ASSERT_TRUE(engine_.OnOpen(kOtherStream, prefill).ok());
  Dispatch(1, 0);
  ASSERT_TRUE(engine_.OnOpen(kThirdStream, {}).ok());
  Dispatch(2, 0);
  EXPECT_EQ(engine_.AwaitDrained(absl::Seconds(10)), 0u);
  ASSERT_EQ(computed_on.size(), 2u);
  EXPECT_EQ(computed_on[0], std::this_thread::get_id());
  EXPECT_NE(computed_on[1], std::this_thread::get_id());
}

}  // namespace
}  // namespace moesaic::shard
