// Degraded mode: what is lost is left out, and nothing else is.

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/unit/router/dispatch/dispatcher_fixture.h"

namespace moesaic::router {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::unique_ptr<ExpertDispatcher> MakeDegradedDispatcher(absl::Duration after,
                                                         const base::Clock& clock) {
  ExpertDispatcher::Options options = DispatcherOptions();
  options.skip_lost_after = after;
  options.clock = &clock;
  return MakeDispatcher(std::move(options));
}

std::unique_ptr<ExpertDispatcher> MakeDegradedDispatcher() {
  return MakeDegradedDispatcher(absl::ZeroDuration(), base::Clock::Real());
}

/// Whether the router has seen that a shard has gone.
bool Gone(const ExpertDispatcher& dispatcher, int shard) {
  return Eventually([&] {
    const ShardDispatchStats stats = dispatcher.Stats().shards[shard];
    return !stats.decode_connected && !stats.prefill_connected;
  });
}

/// Slots of units 1 and 3, which kSplit gives to the second shard.
std::vector<std::int32_t> SlotsOfSecondShard(const TestCall& call) {
  std::vector<std::int32_t> slots;
  for (int slot = 0; slot < call.slots(); ++slot) {
    if (call.units()[slot] % 2 == 1) slots.push_back(slot);
  }
  return slots;
}

TEST(DegradedDispatchTest, SlotsOfALostUnitAreLeftOutAndTheOthersComputed) {
  FakeShard a({.name = "a", .units = {0, 2}}), b({.name = "b"});
  const auto dispatcher = MakeDegradedDispatcher();
  dispatcher->SetPlacement(Placement(1, 8, {&a, &b}, kSplit));
  ASSERT_TRUE(AllConnected(*dispatcher));
  TestCall whole(20, 8);
  EXPECT_EQ(whole.Run(*dispatcher), whole.Expected());
  b.Stop();
  ASSERT_TRUE(Gone(*dispatcher, 1));
  TestCall call(20, 8, 2);
  call.Start(*dispatcher);
  const ExpertOutcome outcome = call.Wait();
  EXPECT_THAT(outcome.failures, IsEmpty());
  const std::vector<std::int32_t> lost = SlotsOfSecondShard(call);
  EXPECT_EQ(outcome.skipped_slots, lost);
  EXPECT_EQ(dispatcher->Stats().skipped_units, lost.size());
  for (int slot = 0; slot < call.slots(); ++slot) {
    if (call.units()[slot] % 2 == 1) continue;
    EXPECT_EQ(call.Row(slot), call.ExpectedRow(slot));
  }
  EXPECT_TRUE(dispatcher->Ready().ok()) << "it goes on serving";
}

TEST(DegradedDispatchTest, WhatABrokenStreamOwedIsLeftOut) {
  FakeShard a({.name = "a", .units = {0, 2}}), b({.name = "b", .hold = true});
  const auto dispatcher = MakeDegradedDispatcher();
  dispatcher->SetPlacement(Placement(1, 8, {&a, &b}, kSplit));
  ASSERT_TRUE(AllConnected(*dispatcher));
  TestCall call(20, 8);
  call.Start(*dispatcher);
  ASSERT_TRUE(b.WaitForDispatches(2));
  EXPECT_FALSE(call.Done());
  b.Stop();
  EXPECT_EQ(call.Wait().skipped_slots, SlotsOfSecondShard(call));
}

TEST(DegradedDispatchTest, AUnitIsLostWhenARowHasWaitedForItLongEnough) {
  testing::FakeClock clock;
  FakeShard a({.name = "a", .units = {0, 2}}), b({.name = "b"});
  const auto dispatcher = MakeDegradedDispatcher(absl::Hours(1), clock);
  const auto split = [&](std::uint64_t version, const FakeShard& second) {
    dispatcher->SetPlacement(Placement(version, 8, {&a, &second}, kSplit));
  };
  // Not at every moment: what waits is taken up now and then, to be tried again.
  const auto waits = [&] {
    return Eventually([&] { return dispatcher->Stats().waiting_units > 0; });
  };
  split(1, b);
  ASSERT_TRUE(AllConnected(*dispatcher));
  b.Stop();
  ASSERT_TRUE(Gone(*dispatcher, 1));
  TestCall first(20, 8, 1), second(20, 8, 2), third(20, 8, 3);
  first.Start(*dispatcher);
  EXPECT_TRUE(waits());
  clock.Advance(absl::Minutes(59));
  EXPECT_FALSE(first.Done());
  clock.Advance(absl::Minutes(1));
  EXPECT_EQ(first.Wait().skipped_slots, SlotsOfSecondShard(first));
  second.Start(*dispatcher);
  EXPECT_EQ(second.Wait().skipped_slots, SlotsOfSecondShard(second)) << "does not wait anew";

  FakeShard c({.name = "c"});
  split(2, c);
  ASSERT_TRUE(AllConnected(*dispatcher));
  TestCall whole(20, 8, 4);
  EXPECT_EQ(whole.Run(*dispatcher), whole.Expected());
  c.Stop();
  ASSERT_TRUE(Gone(*dispatcher, 1));
  third.Start(*dispatcher);
  EXPECT_TRUE(waits()) << "another loss, another wait";
  clock.Advance(absl::Hours(1));
  EXPECT_EQ(third.Wait().skipped_slots, SlotsOfSecondShard(third));
}

TEST(DegradedDispatchTest, AConnectedHolderThatLacksTheUnitIsWaitedFor) {
  FakeShard a({.name = "a"}), b({.name = "b", .units = {}});
  const auto dispatcher = MakeDegradedDispatcher();
  dispatcher->SetPlacement(Placement(1, 8, {&a, &b}, kSplit));
  ASSERT_TRUE(AllConnected(*dispatcher));
  TestCall call(20, 8);
  call.Start(*dispatcher);
  ASSERT_TRUE(Eventually([&] { return dispatcher->Stats().missing_units > 0; }));
  dispatcher->SetPlacement(Placement(2, 8, {&a, &b}, kAllOnFirst));
  EXPECT_THAT(call.Wait().skipped_slots, IsEmpty());
}

TEST(DegradedDispatchTest, NothingIsLeftOutBeforeEveryUnitHasHadAHolder) {
  FakeShard a({.name = "a", .units = {0, 2}});
  const auto dispatcher = MakeDegradedDispatcher();
  dispatcher->SetPlacement(Placement(1, 8, {&a}, {{0}, {}, {0}, {}}));
  ASSERT_TRUE(AllConnected(*dispatcher));
  EXPECT_THAT(std::string(dispatcher->Ready().message()), HasSubstr("layer 0 unit 1"));
  TestCall call(20, 8);
  call.Start(*dispatcher);
  FakeShard b({.name = "b"});
  dispatcher->SetPlacement(Placement(2, 8, {&a, &b}, kSplit));
  EXPECT_THAT(call.Wait().skipped_slots, IsEmpty());
}

TEST(DegradedDispatchTest, WithoutAnyShardRowsWait) {
  FakeShard a({.name = "a"});
  const auto dispatcher = MakeDegradedDispatcher();
  dispatcher->SetPlacement(Placement(1, 8, {&a}, kAllOnFirst));
  ASSERT_TRUE(AllConnected(*dispatcher));
  a.Stop();
  ASSERT_TRUE(Gone(*dispatcher, 0));
  EXPECT_FALSE(dispatcher->Ready().ok());
  TestCall call(3, 8, 1, In(absl::Milliseconds(20)));
  call.Start(*dispatcher);
  const ExpertOutcome outcome = call.Wait();
  EXPECT_EQ(outcome.failures.size(), 3u);
  EXPECT_THAT(outcome.skipped_slots, IsEmpty());
}

TEST(DegradedDispatchTest, OffByDefault) {
  FakeShard a({.name = "a", .units = {0, 2}}), b({.name = "b"});
  const auto dispatcher = MakeDispatcher();
  dispatcher->SetPlacement(Placement(1, 8, {&a, &b}, kSplit));
  ASSERT_TRUE(AllConnected(*dispatcher));
  b.Stop();
  ASSERT_TRUE(Gone(*dispatcher, 1));
  TestCall call(20, 8, 1, In(absl::Milliseconds(20)));
  call.Start(*dispatcher);
  const ExpertOutcome outcome = call.Wait();
  EXPECT_FALSE(outcome.failures.empty());
  EXPECT_THAT(outcome.skipped_slots, IsEmpty());
  EXPECT_EQ(dispatcher->Stats().skipped_units, 0u);
}

}  // namespace
}  // namespace moesaic::router
