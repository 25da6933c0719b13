#include "placement/cluster_watch.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/unit/placement/placement_fixture.h"
#include "tests/unit/placement/recorded_control.h"

namespace moesaic::placement {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Kind = EventLog::Kind;

RouterLoad Load(std::uint32_t hedges, std::uint32_t retried_units) {
  RouterLoad load;
  load.hedges = hedges;
  load.retried_units = retried_units;
  return load;
}

class ClusterWatchTest : public ::testing::Test {
 protected:
  ClusterWatchTest() { wanted_.Reset(TestTopology().units_total()); }

  void Join(const std::string& name, std::vector<std::uint32_t> held,
            std::uint64_t incarnation = 1) {
    ShardDescription description;
    description.name = description.address = name;
    description.incarnation = incarnation;
    description.model = TestModel();
    description.topology = TestTopology();
    description.memory_bytes = 600;
    description.node = "n1";
    ShardNews news;
    news.held = std::move(held);
    ASSERT_TRUE(membership_.Register(now_, ++session_, description, news).ok());
  }
  /// What is told of since the last call.
  std::vector<std::pair<Kind, std::string>> News() {
    watch_.Look(now_,
                {.membership = membership_,
                 .wanted = wanted_,
                 .moves = moves_,
                 .routers = routers_,
                 .frozen = frozen_},
                log_);
    std::vector<std::pair<Kind, std::string>> news;
    for (; told_ < log_.events().size(); ++told_) {
      news.emplace_back(log_.events()[told_].kind, log_.events()[told_].text);
    }
    return news;
  }

  absl::Duration now_ = absl::Seconds(100);
  SessionId session_ = 0;
  Membership membership_{absl::Seconds(10)};
  WantedPlacement wanted_;
  testing::FakeClock clock_;
  RecordedControl control_;
  MoveExecutor moves_{{}, control_, membership_, clock_, [](const auto&, const auto&) {}};
  std::map<SessionId, std::string> routers_;
  bool frozen_ = false;
  ClusterWatch watch_;
  EventLog log_;
  std::size_t told_ = 0;
};

TEST_F(ClusterWatchTest, TellsOfAShardsLife) {
  Join("a", {0, 1, 2});
  Join("b", {2});
  EXPECT_THAT(News(),
              ElementsAre(std::pair(Kind::kChange, "shard a joined on n1 and brought 3 units"),
                          std::pair(Kind::kChange, "shard b joined on n1 and brought 1 unit")));
  EXPECT_THAT(News(), IsEmpty()) << "nothing has changed";
  membership_.Disconnect(now_, 1);
  EXPECT_THAT(News(), ElementsAre(std::pair(Kind::kTrouble,
                                            "shard a is lost from sight: its connection broke; 2 "
                                            "units had no other holder")));
  Join("a", {}, /*incarnation=*/2);
  EXPECT_THAT(News(),
              ElementsAre(std::pair(Kind::kRecovery, "shard a came back as a new process")));
  membership_.Disconnect(now_, 2);
  EXPECT_THAT(News()[0].second,
              "shard b is lost from sight: its connection broke; 1 unit had no "
              "other holder");
  now_ += absl::Seconds(11);
  membership_.Expire(now_);
  EXPECT_EQ(News().size(), 2u);
  EXPECT_EQ(log_.events().back().text, "shard b was silent for a lease and counts as lost");
}

TEST_F(ClusterWatchTest, TellsOfDrainingAndOfLeavingAsAsked) {
  Join("a", {0});
  News();
  ShardNews news;
  news.draining = true;
  news.held.emplace();
  ASSERT_TRUE(membership_.Report(now_, 1, news).ok());
  EXPECT_EQ(News()[0].second, "shard a drains: it finishes what it has and takes no more");
  membership_.Disconnect(now_, 1);
  EXPECT_THAT(News(), ElementsAre(std::pair(Kind::kChange, "shard a has left, as asked")));
}

TEST_F(ClusterWatchTest, TellsOfRoutersAndOfFrozenRemovals) {
  routers_ = {{7, "r1"}};
  EXPECT_THAT(News(), ElementsAre(std::pair(Kind::kChange, "router r1 connected")));
  routers_ = {{8, "r1"}};
  EXPECT_THAT(News(), IsEmpty()) << "it only reconnected";
  routers_.clear();
  frozen_ = true;
  EXPECT_EQ(News().size(), 2u);
  frozen_ = false;
  EXPECT_EQ(News()[0].first, Kind::kRecovery);
}

TEST_F(ClusterWatchTest, HedgesAreAddedUp) {
  watch_.OnRouterLoad("r1", Load(2, 0));
  EXPECT_EQ(News()[0].second, "router r1 hedged 2 late dispatches");
  watch_.OnRouterLoad("r1", Load(1, 1));
  EXPECT_THAT(News(), IsEmpty());
  watch_.OnRouterLoad("r1", Load(0, 4));
  now_ += absl::Seconds(31);
  EXPECT_EQ(News()[0].second,
            "router r1 hedged 1 late dispatch and sent the rows of 5 units again");
}

TEST_F(ClusterWatchTest, TellsWhatAMoveHasBrought) {
  Join("a", {});
  News();
  wanted_.Set(base::ShardId(0), {0, 1});
  moves_.Start({.membership = membership_,
                .wanted = wanted_,
                .published = nullptr,
                .loads = {},
                .epoch = {},
                .replicas = 1,
                .may_unload = false});
  ASSERT_EQ(control_.calls.size(), 1u);
  control_.calls[0].done(absl::OkStatus());
  EXPECT_THAT(News(), IsEmpty()) << "it has not said so yet";
  ShardNews news;
  news.held = {0, 1};
  ASSERT_TRUE(membership_.Report(now_, 1, news).ok());
  EXPECT_EQ(News()[0].second, "shard a holds the 2 units it should: 2 loaded, 0 given up");
  EXPECT_EQ(moves_.totals().loads_ok, 1u);
  EXPECT_EQ(moves_.totals().units.loaded, 2u);
}

}  // namespace
}  // namespace moesaic::placement
