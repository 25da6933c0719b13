#include "placement/coordinator.h"

#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/unit/placement/placement_fixture.h"
#include "tests/unit/placement/recorded_control.h"

namespace moesaic::placement {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// A coordinator with shards that hold what they are told at once, and report it.
class CoordinatorTest : public ::testing::Test {
 protected:
  struct FakeShard {
    SessionId session = 0;
    std::set<std::uint32_t> held;
    base::PlacementEpoch told;
    bool evacuate = false;
    absl::Status ended = absl::OkStatus();
  };
  struct FakeRouter {
    std::vector<std::shared_ptr<const PlacementMap>> received;
    absl::Status ended = absl::OkStatus();
  };

  void Restart(CoordinatorPolicy policy = {}) {
    coordinator_.reset();
    control_.calls.clear();
    coordinator_ = std::make_unique<Coordinator>(policy, control_, clock_);
  }

  ShardDescription Describe(const std::string& name, const std::string& node) {
    ShardDescription description;
    description.name = name;
    description.address = name;
    description.incarnation = next_session_;
    description.model = TestModel();
    description.topology = TestTopology();
    description.memory_bytes = memory_bytes_;
    description.node = node;
    return description;
  }

  ShardNews News(const FakeShard& shard) {
    ShardNews news;
    news.epoch = shard.told;
    news.held.emplace(shard.held.begin(), shard.held.end());
    news.evacuating = shard.evacuate;
    return news;
  }

  absl::Status Join(const std::string& name, const std::string& node = "") {
    FakeShard& shard = shards_[name];
    shard.session = ++next_session_;
    return coordinator_->AddShard(
        shard.session, Describe(name, node), News(shard),
        {.send =
             [&shard](const Coordinator::Directive& d) {
               shard.told = d.epoch;
               shard.evacuate = d.evacuate;
             },
         .end = [&shard](absl::Status status) { shard.ended = std::move(status); }});
  }

  void AddRouter(FakeRouter& router, SessionId session, base::PlacementEpoch known = {}) {
    ASSERT_TRUE(coordinator_
                    ->AddRouter(session, "r", TestModel(), known,
                                {.send = [&router](auto map) { router.received.push_back(map); },
                                 .end = [&router](absl::Status s) { router.ended = s; }})
                    .ok());
  }

  /// Carries out every call, reports, and lets `passes` heartbeats pass.
  void Work(int passes = 3) {
    for (int i = 0; i < passes; ++i) {
      while (!control_.calls.empty()) {
        RecordedControl::Call call = std::move(control_.calls.front());
        control_.calls.pop_front();
        FakeShard& shard = shards_[call.address];
        for (const UnitKey& key : call.units) {
          const std::uint32_t unit = TestTopology().NumberOf(key);
          call.load ? (void)shard.held.insert(unit) : (void)shard.held.erase(unit);
        }
        call.done(absl::OkStatus());
        ASSERT_TRUE(coordinator_->Report(shard.session, News(shard)).ok());
      }
      clock_.Advance(absl::Seconds(1));
      for (auto& [name, shard] : shards_) {
        if (silent_.contains(name)) continue;
        ASSERT_TRUE(coordinator_->Report(shard.session, News(shard)).ok());
      }
      coordinator_->Advance();
    }
  }

  std::size_t Uncovered() { return coordinator_->published()->units_uncovered(); }

  std::uint64_t memory_bytes_ = 600;  // all six units
  testing::FakeClock clock_;
  RecordedControl control_;
  std::map<std::string, FakeShard> shards_;
  std::set<std::string> silent_;  ///< Send no heartbeats.
  SessionId next_session_ = 0;
  std::unique_ptr<Coordinator> coordinator_ =
      std::make_unique<Coordinator>(CoordinatorPolicy{}, control_, clock_);
};

TEST_F(CoordinatorTest, ShardsThatComeTogetherSplitEvenly) {
  ASSERT_TRUE(Join("a").ok());
  clock_.Advance(absl::Seconds(2));
  ASSERT_TRUE(Join("b").ok());
  clock_.Advance(absl::Seconds(2));
  ASSERT_TRUE(Join("c").ok());
  coordinator_->Advance();
  EXPECT_THAT(control_.calls, IsEmpty()) << "the membership has not settled";
  clock_.Advance(absl::Seconds(3));
  coordinator_->Advance();
  ASSERT_THAT(control_.calls, SizeIs(3));
  for (const auto& call : control_.calls) {
    EXPECT_TRUE(call.load);
    EXPECT_THAT(call.units, SizeIs(2));
  }
  Work();
  EXPECT_EQ(Uncovered(), 0u);
  for (const auto& [name, shard] : shards_) {
    EXPECT_THAT(shard.held, SizeIs(2));
    EXPECT_EQ(shard.told, coordinator_->epoch());
  }
}

TEST_F(CoordinatorTest, ExpectedShardsAreAwaitedAndNotLonger) {
  Restart({.expect_shards = 2});
  ASSERT_TRUE(Join("a").ok());
  clock_.Advance(absl::Seconds(9));
  shards_["a"].held = {};
  coordinator_->Advance();
  EXPECT_THAT(control_.calls, IsEmpty());
  ASSERT_TRUE(Join("b").ok());
  EXPECT_THAT(control_.calls, SizeIs(2)) << "at once";
}

TEST_F(CoordinatorTest, GivesUpWaitingForExpectedShards) {
  Restart({.expect_shards = 2, .lease = absl::Minutes(5)});
  ASSERT_TRUE(Join("a").ok());
  clock_.Advance(absl::Seconds(31));
  coordinator_->Advance();
  EXPECT_THAT(control_.calls, SizeIs(1));
}

TEST_F(CoordinatorTest, ALostShardsUnitsAreLoadedElsewhere) {
  Restart({.expect_shards = 2});
  ASSERT_TRUE(Join("a").ok());
  ASSERT_TRUE(Join("b").ok());
  Work();
  coordinator_->RemoveShard(shards_["a"].session);
  shards_.erase("a");
  coordinator_->Advance();
  EXPECT_THAT(control_.calls, IsEmpty()) << "a cut connection is soon up again";
  Work(2);
  EXPECT_THAT(shards_["b"].held, SizeIs(6)) << "nobody else had them";
  EXPECT_THAT(coordinator_->published()->shards(), SizeIs(2)) << "its lease runs on";
  Work(10);
  EXPECT_EQ(Uncovered(), 0u);
  EXPECT_THAT(coordinator_->published()->shards(), SizeIs(1));
}

TEST_F(CoordinatorTest, AJoiningShardTakesOverMakeBeforeBreak) {
  Restart({.expect_shards = 1});
  FakeRouter router;
  AddRouter(router, 1000);
  ASSERT_TRUE(Join("a").ok());
  Work(12);  // past the lease in which nothing is removed
  ASSERT_THAT(shards_["a"].held, SizeIs(6));
  ASSERT_TRUE(Join("b").ok());
  Work(6);
  EXPECT_THAT(shards_["b"].held, SizeIs(3));
  EXPECT_THAT(shards_["a"].held, SizeIs(6)) << "the router has not adopted the new placement";
  coordinator_->Acknowledge(1000, router.received.back()->epoch());
  Work(3);
  EXPECT_THAT(shards_["a"].held, SizeIs(3));
  for (const auto& map : router.received) {
    const bool before_the_first_load = map == router.received.front();
    EXPECT_EQ(map->units_uncovered(), before_the_first_load ? 6u : 0u);
  }
}

TEST_F(CoordinatorTest, ANewcomerToAKnownClusterIsGivenUnitsSoon) {
  Restart({.expect_shards = 1});
  ASSERT_TRUE(Join("a").ok());
  Work(12);  // a lease on, everybody is known
  ASSERT_TRUE(Join("b").ok());
  clock_.Advance(absl::Milliseconds(400));
  coordinator_->Advance();
  EXPECT_THAT(control_.calls, IsEmpty()) << "others may be about to come with it";
  clock_.Advance(absl::Milliseconds(100));
  coordinator_->Advance();
  ASSERT_THAT(control_.calls, SizeIs(1));
  EXPECT_EQ(control_.calls[0].address, "b");
}

TEST_F(CoordinatorTest, ReplicasLieOnDifferentNodes) {
  Restart({.replicas = 2, .expect_shards = 4});
  for (const auto& [name, node] : {std::pair("a", "x"), {"b", "x"}, {"c", "y"}, {"d", "y"}}) {
    ASSERT_TRUE(Join(name, node).ok());
  }
  Work();
  const PlacementMap& map = *coordinator_->published();
  for (std::uint32_t unit = 0; unit < 6; ++unit) {
    const UnitKey key = TestTopology().KeyOf(unit);
    const auto holders = map.Holders(key.layer, key.unit);
    ASSERT_THAT(holders, SizeIs(2));
    EXPECT_NE(map.FindShard(holders[0])->node, map.FindShard(holders[1])->node);
  }
}

TEST_F(CoordinatorTest, ARestartedCoordinatorRaisesTheTermAndRemovesNothing) {
  Restart({.expect_shards = 2});
  ASSERT_TRUE(Join("a").ok());
  ASSERT_TRUE(Join("b").ok());
  Work();
  const base::PlacementEpoch before = coordinator_->epoch();
  Restart({.expect_shards = 2});
  FakeRouter router;
  AddRouter(router, 1000, before);
  ASSERT_TRUE(Join("a").ok());
  EXPECT_THAT(router.received, IsEmpty()) << "half of the cluster is not there yet";
  ASSERT_TRUE(Join("b").ok());
  ASSERT_THAT(router.received, SizeIs(1));
  EXPECT_EQ(router.received[0]->epoch().term, before.term + 1);
  EXPECT_EQ(router.received[0]->units_uncovered(), 0u);
  EXPECT_THAT(control_.calls, IsEmpty()) << "everything is where it was";
}

TEST_F(CoordinatorTest, GoesAboveATermARouterHasSeen) {
  Restart({.expect_shards = 1});
  ASSERT_TRUE(Join("a").ok());
  Work();
  FakeRouter router;
  AddRouter(router, 1000, {.term = 41, .version = 3});
  EXPECT_EQ(router.received.back()->epoch().term, 42u);
  EXPECT_EQ(shards_["a"].told.term, 42u);
}

TEST_F(CoordinatorTest, AShardThatKnowsAHigherTermHasToRegisterAgain) {
  Restart({.expect_shards = 1});
  ASSERT_TRUE(Join("a").ok());
  ASSERT_THAT(control_.calls, SizeIs(1));
  control_.calls[0].done(absl::FailedPreconditionError("term 1 is below the highest seen, 9"));
  control_.calls.clear();
  EXPECT_EQ(shards_["a"].ended.code(), absl::StatusCode::kAborted);
  shards_["a"].told = {.term = 9, .version = 1};
  ASSERT_TRUE(Join("a").ok());
  EXPECT_EQ(coordinator_->epoch().term, 10u);
}

TEST_F(CoordinatorTest, AFailedLoadIsTriedAgainLater) {
  Restart({.expect_shards = 1});
  ASSERT_TRUE(Join("a").ok());
  control_.calls[0].done(absl::UnavailableError("no"));
  control_.calls.clear();
  EXPECT_EQ(coordinator_->moves().ProblemOf(base::ShardId(0)), "no");
  coordinator_->Advance();
  EXPECT_THAT(control_.calls, IsEmpty());
  clock_.Advance(absl::Seconds(1));
  coordinator_->Advance();
  ASSERT_THAT(control_.calls, SizeIs(1));
  Work();
  EXPECT_EQ(coordinator_->moves().ProblemOf(base::ShardId(0)), "");
}

TEST_F(CoordinatorTest, TooLittleMemoryIsSaidAndNotAskedFor) {
  memory_bytes_ = 250;
  Restart({.expect_shards = 1});
  ASSERT_TRUE(Join("a").ok());
  ASSERT_THAT(control_.calls, SizeIs(1));
  EXPECT_THAT(control_.calls[0].units, SizeIs(2));
  EXPECT_THAT(coordinator_->warnings(), ElementsAre(HasSubstr("4 of 6 units have no shard")));
  Work();
  EXPECT_EQ(Uncovered(), 4u);
}

TEST_F(CoordinatorTest, ADrainingShardIsReplacedAndKeepsServingMeanwhile) {
  Restart({.expect_shards = 2});
  ASSERT_TRUE(Join("a").ok());
  ASSERT_TRUE(Join("b").ok());
  Work();
  ShardNews news = News(shards_["a"]);
  news.draining = true;
  ASSERT_TRUE(coordinator_->Report(shards_["a"].session, news).ok());
  EXPECT_EQ(Uncovered(), 0u);
  EXPECT_TRUE(coordinator_->published()->FindShard(base::ShardId(0))->draining);
  ASSERT_THAT(control_.calls, SizeIs(1));
  EXPECT_EQ(control_.calls[0].address, "b");
}

TEST_F(CoordinatorTest, AShardThatBreaksOffIsNotReplacedWhileOthersHoldItsUnits) {
  Restart({.replicas = 2, .expect_shards = 3});
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(Join(name).ok());
  Work();
  const auto b = shards_["b"].held;
  const auto c = shards_["c"].held;
  coordinator_->RemoveShard(shards_["a"].session);
  silent_ = {"a"};
  Work(5);
  ASSERT_TRUE(Join("a").ok());
  silent_.clear();
  Work(15);
  EXPECT_EQ(shards_["b"].held, b);
  EXPECT_EQ(shards_["c"].held, c) << "it is back";
}

TEST_F(CoordinatorTest, AnEvacuatedShardServesUntilOthersHoldItsUnits) {
  Restart({.expect_shards = 2});
  FakeRouter router;
  AddRouter(router, 1000);
  ASSERT_TRUE(Join("a").ok());
  ASSERT_TRUE(Join("b").ok());
  Work(12);
  EXPECT_EQ(coordinator_->Evacuate("x", true).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(coordinator_->Evacuate("a", true).ok());
  EXPECT_TRUE(shards_["a"].evacuate);
  Work(3);
  EXPECT_THAT(shards_["b"].held, SizeIs(6));
  EXPECT_THAT(shards_["a"].held, SizeIs(3)) << "the router still sends to it";
  coordinator_->Acknowledge(1000, router.received.back()->epoch());
  Work(3);
  EXPECT_THAT(shards_["a"].held, IsEmpty());
  EXPECT_EQ(Uncovered(), 0u);

  Restart({.expect_shards = 2});
  ASSERT_TRUE(Join("a").ok());
  ASSERT_TRUE(Join("b").ok());
  Work(12);
  EXPECT_THAT(shards_["a"].held, IsEmpty()) << "it reminds a new coordinator";
  ASSERT_TRUE(coordinator_->Evacuate("a", false).ok());
  Work(12);
  EXPECT_THAT(shards_["a"].held, SizeIs(3));
}

TEST_F(CoordinatorTest, ARestartedCoordinatorKeepsHotReplicas) {
  Restart({.expect_shards = 2});
  FakeRouter router;
  AddRouter(router, 1000);
  // Unit 0 was hot and is held twice.
  shards_["a"].held = {0, 1, 2};
  shards_["b"].held = {0, 3, 4, 5};
  ASSERT_TRUE(Join("a").ok());
  ASSERT_TRUE(Join("b").ok());
  v1::LoadReport report;
  report.set_calls(200);
  for (std::uint32_t unit = 0; unit < 6; ++unit) {
    report.add_units(unit);
    report.add_rows(unit == 0 ? 5000 : 500);
    report.add_experts(unit == 0 ? 200 : 100);
  }
  ASSERT_TRUE(coordinator_->TakeLoad(1000, report).ok());
  for (int second = 0; second < 20; ++second) {
    Work(1);
    coordinator_->Acknowledge(1000, router.received.back()->epoch());
  }
  EXPECT_TRUE(shards_["a"].held.contains(0));
  EXPECT_TRUE(shards_["b"].held.contains(0));
  report.set_units(1, 0);
  EXPECT_EQ(coordinator_->TakeLoad(1000, report).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(CoordinatorTest, FullShardsExchangeReplicas) {
  memory_bytes_ = 400;
  Restart({.replicas = 2, .expect_shards = 3});
  shards_["a"].held = {0, 1, 2, 3};
  shards_["b"].held = {0, 1, 2, 3};
  shards_["c"].held = {2, 3, 4, 5};
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(Join(name).ok());
  Work(20);
  const PlacementMap& map = *coordinator_->published();
  for (std::uint32_t unit = 0; unit < 6; ++unit) {
    const UnitKey key = TestTopology().KeyOf(unit);
    EXPECT_THAT(map.Holders(key.layer, key.unit), SizeIs(2)) << "unit " << unit;
  }
}

TEST_F(CoordinatorTest, WakingFromAPauseExpiresAndRemovesNothing) {
  Restart({.expect_shards = 2});
  ASSERT_TRUE(Join("a").ok());
  ASSERT_TRUE(Join("b").ok());
  Work(12);
  clock_.Advance(absl::Minutes(1));
  coordinator_->Advance();
  EXPECT_EQ(coordinator_->membership().present(), 2u) << "it was we who were away";
  EXPECT_EQ(Uncovered(), 0u);
  ASSERT_TRUE(Join("c").ok());
  Work(8);
  EXPECT_THAT(shards_["c"].held, SizeIs(2));
  EXPECT_EQ(shards_["a"].held.size() + shards_["b"].held.size(), 6u) << "not within a lease";
  Work(8);
  EXPECT_EQ(shards_["a"].held.size() + shards_["b"].held.size(), 4u);
}

TEST_F(CoordinatorTest, ManyLeasesOverAtOnceTakeNoReplicaAway) {
  Restart({.expect_shards = 4});
  for (const char* name : {"a", "b", "c", "d"}) ASSERT_TRUE(Join(name).ok());
  Work(12);
  silent_ = {"a", "b"};
  Work(15);
  EXPECT_EQ(coordinator_->membership().present(), 4u);
  EXPECT_THAT(coordinator_->published()->shards(), SizeIs(4)) << "routers still try them";
  EXPECT_EQ(shards_["c"].held.size() + shards_["d"].held.size(), 6u)
      << "what they held is loaded elsewhere all the same";
  silent_.clear();
  Work(15);
  std::size_t held = 0;
  for (const auto& [name, shard] : shards_) held += shard.held.size();
  EXPECT_EQ(held, 6u) << "and the surplus goes once they are back";
  EXPECT_EQ(Uncovered(), 0u);
}

TEST_F(CoordinatorTest, RefusesARouterOfAnotherModel) {
  ASSERT_TRUE(Join("a").ok());
  ModelIdentity other = TestModel();
  other.numerics_id = "n2";
  const absl::Status refused = coordinator_->AddRouter(7, "r", other, {}, {});
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(refused.message(), HasSubstr("ours is 'n1', theirs is 'n2'"));
}

}  // namespace
}  // namespace moesaic::placement
