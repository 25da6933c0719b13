#include "placement/move_executor.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/unit/placement/placement_fixture.h"
#include "tests/unit/placement/recorded_control.h"

namespace moesaic::placement {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// One live shard of 600 bytes, six units of 100 each, and what it is to hold.
class MoveExecutorTest : public ::testing::Test {
 protected:
  MoveExecutorTest() { wanted_.Reset(6); }

  void Join(const std::string& name, std::vector<std::uint32_t> held,
            std::vector<std::uint32_t> wanted, std::uint64_t memory_bytes = 600) {
    ShardDescription description;
    description.name = name;
    description.address = name;
    description.incarnation = 1;
    description.model = TestModel();
    description.topology = TestTopology();
    description.memory_bytes = memory_bytes;
    ShardNews news;
    news.held = std::move(held);
    const auto joined = membership_.Register({}, ++sessions_, description, news);
    ASSERT_TRUE(joined.ok());
    wanted_.Set(joined->id, std::move(wanted));
  }

  /// What all shards hold now is published, and all routers have taken it.
  void Publish() {
    PlacementMap::Parts parts{.epoch = {1, 1},
                              .model = TestModel(),
                              .topology = TestTopology(),
                              .shards = {},
                              .holders = std::vector<std::vector<base::ShardId>>(6)};
    for (const auto& [id, member] : membership_.members()) {
      parts.shards.emplace_back().id = id;
      parts.shards.back().name = parts.shards.back().address = member.description.name;
      for (const std::uint32_t unit : member.held) {
        if (published_here_(id, unit)) parts.holders[unit].push_back(id);
      }
    }
    published_ = *PlacementMap::Build(parts);
  }

  void Start(MoveExecutor& executor, bool may_unload = true) {
    executor.Start({.membership = membership_,
                    .wanted = wanted_,
                    .published = published_.get(),
                    .loads = loads_,
                    .epoch = {1, 1},
                    .replicas = 1,
                    .may_unload = may_unload});
  }

  std::vector<std::uint32_t> Units(std::size_t call) {
    std::vector<std::uint32_t> numbers;
    for (const UnitKey& key : control_.calls[call].units) {
      numbers.push_back(TestTopology().NumberOf(key));
    }
    return numbers;
  }

  void Holds(SessionId session, std::vector<std::uint32_t> held) {
    ShardNews news;
    news.held = std::move(held);
    ASSERT_TRUE(membership_.Report({}, session, news).ok());
  }

  testing::FakeClock clock_;
  RecordedControl control_;
  Membership membership_{absl::Seconds(10)};
  WantedPlacement wanted_;
  std::vector<UnitLoad> loads_;
  std::shared_ptr<const PlacementMap> published_;
  std::function<bool(base::ShardId, std::uint32_t)> published_here_ = [](auto, auto) {
    return true;
  };
  std::vector<absl::Status> ended_;
  MoveExecutor::Ended note_ = [this](const absl::Status& status, const Member&) {
    ended_.push_back(status);
  };
  SessionId sessions_ = 0;
};

TEST_F(MoveExecutorTest, LoadsWhatNobodyHoldsFirstThenTheHottest) {
  Join("a", {}, {0, 1, 2, 3});
  Join("b", {2, 3}, {2, 3});
  loads_ = {{.rows = 1}, {.rows = 2}, {.rows = 3}, {.rows = 9}, {}, {}};
  Publish();
  MoveExecutor executor({.chunk_bytes = 300}, control_, membership_, clock_, note_);
  Start(executor);
  ASSERT_THAT(control_.calls, SizeIs(1));
  EXPECT_THAT(Units(0), ElementsAre(1, 0, 3)) << "and no more than a chunk";
  EXPECT_EQ(executor.in_flight(), 1u);
  Start(executor);
  EXPECT_THAT(control_.calls, SizeIs(1)) << "one call per shard at a time";

  Holds(1, {0, 1, 3});
  control_.calls[0].done(absl::OkStatus());
  Start(executor);
  ASSERT_THAT(control_.calls, SizeIs(2)) << "its report came first: at once";
  EXPECT_THAT(Units(1), ElementsAre(2));
}

TEST_F(MoveExecutorTest, WaitsForTheReportOfWhatWasDone) {
  Join("a", {}, {0, 1});
  Publish();
  MoveExecutor executor({.chunk_bytes = 100}, control_, membership_, clock_, note_);
  Start(executor);
  control_.calls[0].done(absl::OkStatus());
  Start(executor);
  EXPECT_THAT(control_.calls, SizeIs(1));
  Holds(1, {0});
  executor.OnReported(base::ShardId(0));
  Start(executor);
  EXPECT_THAT(control_.calls, SizeIs(2));
}

TEST_F(MoveExecutorTest, AFailureIsRememberedAndTriedAgainLater) {
  Join("a", {}, {0});
  Publish();
  MoveExecutor executor({}, control_, membership_, clock_, note_);
  Start(executor);
  control_.calls[0].done(absl::DataLossError("bad bytes"));
  EXPECT_EQ(executor.ProblemOf(base::ShardId(0)), "bad bytes");
  EXPECT_THAT(ended_, SizeIs(1));
  executor.OnReported(base::ShardId(0));
  Start(executor);
  EXPECT_THAT(control_.calls, SizeIs(1));
  clock_.Advance(absl::Seconds(1));
  Start(executor);
  EXPECT_THAT(control_.calls, SizeIs(2));
  executor.OnRegistered(base::ShardId(0));
}

TEST_F(MoveExecutorTest, UnloadsOnlyWhatRoutersHaveLetGoAndAnotherHolds) {
  Join("a", {0, 1, 2}, {});
  Join("b", {0, 1}, {0, 1});
  published_here_ = [](base::ShardId id, std::uint32_t unit) {
    return id == base::ShardId(1) || unit == 1;
  };
  Publish();
  MoveExecutor executor({}, control_, membership_, clock_, note_);
  Start(executor, /*may_unload=*/false);
  EXPECT_THAT(control_.calls, IsEmpty());
  Start(executor);
  ASSERT_THAT(control_.calls, SizeIs(1));
  EXPECT_FALSE(control_.calls[0].load);
  EXPECT_THAT(Units(0), ElementsAre(0)) << "1 is published here, 2 nowhere else";
}

TEST_F(MoveExecutorTest, ParallelMovesAndBytesPerSecondAreBounded) {
  Join("a", {0, 1, 2, 3, 4, 5}, {0, 1, 2, 3, 4, 5});
  Join("b", {}, {0, 1});
  Join("c", {}, {2, 3});
  Publish();
  MoveExecutor one({.parallel_moves = 1}, control_, membership_, clock_, note_);
  Start(one);
  EXPECT_THAT(control_.calls, SizeIs(1));

  control_.calls.clear();
  MoveExecutor slow({.move_bytes_per_s = 100}, control_, membership_, clock_, note_);
  Start(slow);
  EXPECT_THAT(control_.calls, SizeIs(1));
  clock_.Advance(absl::Milliseconds(1900));
  Start(slow);
  EXPECT_THAT(control_.calls, SizeIs(1));
  clock_.Advance(absl::Milliseconds(100));
  Start(slow);
  EXPECT_THAT(control_.calls, SizeIs(2)) << "200 bytes take two seconds";
}

TEST_F(MoveExecutorTest, WhatNobodyHoldsIsNotSlowedDown) {
  Join("a", {}, {0, 1});
  Join("b", {}, {2, 3});
  Publish();
  MoveExecutor slow({.move_bytes_per_s = 1}, control_, membership_, clock_, note_);
  Start(slow);
  EXPECT_THAT(control_.calls, SizeIs(2));
}

}  // namespace
}  // namespace moesaic::placement
