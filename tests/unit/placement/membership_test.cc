#include "placement/membership.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/placement/placement_fixture.h"

namespace moesaic::placement {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr absl::Duration kLease = absl::Seconds(10);

ShardDescription Describe(const std::string& name, std::uint64_t incarnation = 1) {
  ShardDescription description;
  description.name = name;
  description.address = "127.0.0.1:1";
  description.incarnation = incarnation;
  description.model = TestModel();
  description.topology = TestTopology();
  description.memory_bytes = 1000;
  return description;
}

ShardNews Holding(std::vector<std::uint32_t> units) {
  ShardNews news;
  news.held = std::move(units);
  return news;
}

class MembershipTest : public ::testing::Test {
 protected:
  absl::Status Add(SessionId session, ShardDescription description, ShardNews news = Holding({})) {
    return members_.Register(now_, session, std::move(description), std::move(news)).status();
  }

  absl::Duration now_ = absl::Seconds(100);
  Membership members_{kLease};
};

TEST_F(MembershipTest, ANameKeepsItsNumberOverIncarnations) {
  ASSERT_TRUE(Add(1, Describe("a"), Holding({0, 1})).ok());
  ASSERT_TRUE(Add(2, Describe("b")).ok());
  const auto again = members_.Register(now_, 3, Describe("a", 2), Holding({}));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->id, base::ShardId(0));
  EXPECT_EQ(again->replaced, 1u);
  EXPECT_THAT(members_.members(), SizeIs(2));
  EXPECT_EQ(members_.FindSession(1), nullptr);
  const Member& member = *members_.FindSession(3);
  EXPECT_EQ(member.description.incarnation, 2u);
  EXPECT_THAT(member.held, IsEmpty());
}

TEST_F(MembershipTest, SilenceForALeaseExpires) {
  ASSERT_TRUE(Add(1, Describe("a"), Holding({0})).ok());
  ASSERT_TRUE(Add(2, Describe("b"), Holding({1})).ok());
  now_ += kLease / 2;
  EXPECT_EQ(*members_.Report(now_, 2, {}), false);
  now_ += kLease / 2;
  const auto expired = members_.Expire(now_);
  ASSERT_THAT(expired, SizeIs(1));
  EXPECT_EQ(expired[0].id, base::ShardId(0));
  EXPECT_EQ(expired[0].session, 1u);
  EXPECT_EQ(members_.Find(base::ShardId(0))->state, Member::State::kExpired);
  EXPECT_THAT(members_.Find(base::ShardId(0))->held, IsEmpty());
  EXPECT_EQ(members_.Find(base::ShardId(1))->held, std::vector<std::uint32_t>{1});
  EXPECT_EQ(members_.present(), 1u);
  EXPECT_THAT(members_.Expire(now_), IsEmpty());
}

TEST_F(MembershipTest, AnEmptyShardThatHasDrainedLeavesAtOnce) {
  ASSERT_TRUE(Add(1, Describe("a"), Holding({0})).ok());
  ASSERT_TRUE(Add(2, Describe("b"), Holding({0})).ok());
  ShardNews drained = Holding({});
  drained.draining = true;
  ASSERT_TRUE(members_.Report(now_, 1, drained).ok());
  members_.Disconnect(now_, 1);
  EXPECT_EQ(members_.Find(base::ShardId(0))->state, Member::State::kExpired);
  EXPECT_EQ(members_.present(), 1u);
}

TEST_F(MembershipTest, ABrokenStreamMakesSuspectAndTheLeaseRunsOn) {
  ASSERT_TRUE(Add(1, Describe("a"), Holding({0})).ok());
  members_.Disconnect(now_, 1);
  const Member& member = *members_.Find(base::ShardId(0));
  EXPECT_EQ(member.state, Member::State::kSuspect);
  EXPECT_THAT(member.held, SizeIs(1));
  EXPECT_EQ(*members_.Report(now_, 1, Holding({})), false) << "an ended session reports nothing";
  now_ += kLease;
  EXPECT_EQ(members_.Expire(now_)[0].session, 0u);
  ASSERT_TRUE(Add(2, Describe("a", 2)).ok());
  EXPECT_EQ(member.state, Member::State::kLive);
  EXPECT_EQ(member.id, base::ShardId(0));
}

TEST_F(MembershipTest, ReportsSayWhatChanged) {
  ASSERT_TRUE(Add(1, Describe("a"), Holding({0})).ok());
  EXPECT_EQ(*members_.Report(now_, 1, Holding({0})), false);
  EXPECT_EQ(*members_.Report(now_, 1, Holding({0, 5})), true);
  ShardNews draining;
  draining.draining = true;
  draining.expert_rows_total = 9;
  EXPECT_EQ(*members_.Report(now_, 1, draining), true);
  EXPECT_EQ(members_.FindSession(1)->expert_rows_total, 9u);
  EXPECT_THAT(members_.FindSession(1)->held, SizeIs(2));
  EXPECT_EQ(members_.Report(now_, 1, Holding({6})).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(MembershipTest, RefusesAnotherModelNamingBothValues) {
  ASSERT_TRUE(Add(1, Describe("a")).ok());
  ShardDescription other = Describe("b");
  other.model.numerics_id = "n2";
  absl::Status refused = Add(2, other);
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(refused.message(), HasSubstr("numerics_id differs: ours is 'n1', theirs is 'n2'"));
  other = Describe("b");
  other.model.model_fingerprint = "f2";
  EXPECT_THAT(Add(2, other).message(), HasSubstr("ours is 'f1', theirs is 'f2'"));
  other = Describe("b");
  other.topology.unit_bytes = 7;
  EXPECT_THAT(Add(2, other).message(), HasSubstr("100 bytes a unit, theirs is"));
  other = Describe("b");
  other.memory_bytes = 0;
  EXPECT_EQ(Add(2, other).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(members_.members(), SizeIs(1));
}

TEST_F(MembershipTest, AnEmptyClusterMayStartOverWithAnotherModel) {
  ASSERT_TRUE(Add(1, Describe("a"), Holding({0})).ok());
  now_ += kLease;
  members_.Expire(now_);
  ShardDescription other = Describe("b");
  other.model.model_fingerprint = "f2";
  ASSERT_TRUE(Add(2, other).ok());
  EXPECT_EQ(members_.model()->model_fingerprint, "f2");
  EXPECT_THAT(members_.members(), SizeIs(1));
}

TEST_F(MembershipTest, BusyIsAMeanOverSeconds) {
  ASSERT_TRUE(Add(1, Describe("a")).ok());
  ShardNews news;
  for (int i = 1; i <= 60; ++i) {
    now_ += absl::Seconds(1);
    news.busy_seconds_total = 0.4 * i;
    ASSERT_TRUE(members_.Report(now_, 1, news).ok());
  }
  EXPECT_NEAR(members_.FindSession(1)->busy_ratio, 0.4, 0.01);
  ASSERT_TRUE(Add(2, Describe("a", 2)).ok());
  EXPECT_EQ(members_.FindSession(2)->busy_ratio, 0) << "a new process has not computed yet";
}

}  // namespace
}  // namespace moesaic::placement
