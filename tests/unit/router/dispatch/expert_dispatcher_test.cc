#include "router/dispatch/expert_dispatcher.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/router/dispatch/dispatcher_fixture.h"

namespace moesaic::router {
namespace {

using ::testing::HasSubstr;

TEST(ExpertDispatcherTest, AllSlotsAreFilledFromTwoShards) {
  FakeShard a({.name = "a", .units = {0, 2}}), b({.name = "b", .units = {1, 3}});
  const auto dispatcher = MakeDispatcher();
  EXPECT_EQ(dispatcher->Ready().code(), absl::StatusCode::kUnavailable);
  dispatcher->SetPlacement(Placement(1, 8, {&a, &b}, kSplit));
  ASSERT_TRUE(Eventually([&] { return dispatcher->Ready().ok(); }));
  TestCall call(20, 8);
  EXPECT_EQ(call.Run(*dispatcher), call.Expected());
  const DispatchStats stats = dispatcher->Stats();
  EXPECT_EQ(stats.calls, 1u);
  EXPECT_EQ(stats.retried_units, 0u);
  EXPECT_EQ(stats.dispatches, 4u) << "a message per shard and lane";
  EXPECT_EQ(stats.rows, static_cast<std::uint64_t>(a.rows() + b.rows()));
  ASSERT_EQ(stats.shards.size(), 2u);
  EXPECT_EQ(stats.shards[0].in_flight_rows, 0u);
  EXPECT_EQ(stats.shards[0].answered, 2u);
  EXPECT_EQ(stats.shards[0].queue_wait_sum, absl::Microseconds(6));
  EXPECT_GT(stats.shards[0].round_trip_sum, absl::ZeroDuration());
}

TEST(ExpertDispatcherTest, EachTokenHasItsPartOfTheBatchesThatAnsweredIt) {
  // A batch takes 1000 us and holds 100 assignments: an assignment is worth 10 us.
  FakeShard a({.name = "a", .tamper = [](rpc::DispatchReply& reply) {
                 reply.compute_us = 1000;
                 reply.batch_rows = 100;
               }});
  const auto dispatcher = MakeDispatcher();
  dispatcher->SetPlacement(Placement(1, 8, {&a}, kAllOnFirst));
  TestCall call(20, 8);
  call.Start(*dispatcher);
  const ExpertOutcome outcome = call.Wait();
  ASSERT_EQ(outcome.token_work.size(), 20u);
  for (const TokenWork& work : outcome.token_work) {
    EXPECT_NEAR(work.seconds, 20e-6, 1e-10) << "top-2";
    EXPECT_EQ(work.cost, 0);
    EXPECT_EQ(work.unpriced_seconds, work.seconds);
  }
  EXPECT_EQ(dispatcher->Stats().wasted_seconds, 0);
  EXPECT_GT(dispatcher->Stats().shards[0].bytes_received, 0u);
}

TEST(ExpertDispatcherTest, BitsDoNotDependOnThePlacement) {
  for (const auto dtype : {rpc::WireDtype::kBF16, rpc::WireDtype::kFp8E4M3}) {
    FakeShard a({.name = "a", .hidden_size = 200}), b({.name = "b", .hidden_size = 200});
    const auto dispatcher = MakeDispatcher(200, dtype);
    std::vector<std::vector<float>> results;
    std::uint64_t version = 0;
    for (const auto& holders : {kAllOnFirst, kSplit, kBoth}) {
      dispatcher->SetPlacement(Placement(++version, 200, {&a, &b}, holders));
      results.push_back(TestCall(9, 200).Run(*dispatcher));
    }
    EXPECT_EQ(results[0], results[1]);
    EXPECT_EQ(results[0], results[2]);
  }
}

TEST(ExpertDispatcherTest, MissingUnitsGoToAReplica) {
  FakeShard a({.name = "a", .units = {0}}), b({.name = "b"});
  const auto dispatcher = MakeDispatcher();
  dispatcher->SetPlacement(Placement(1, 8, {&a, &b}, kBoth));
  ASSERT_TRUE(Eventually([&] {
    return dispatcher->Stats().shards[0].prefill_connected &&
           dispatcher->Stats().shards[0].decode_connected;
  }));
  TestCall call(20, 8);
  EXPECT_EQ(call.Run(*dispatcher), call.Expected());
  EXPECT_GT(dispatcher->Stats().missing_units, 0u);
  EXPECT_EQ(dispatcher->Stats().missing_units, dispatcher->Stats().retried_units);
}

TEST(ExpertDispatcherTest, MissingUnitsWaitForAPlacementThatHasThem) {
  FakeShard a({.name = "a", .units = {}}), b({.name = "b"});
  const auto dispatcher = MakeDispatcher();
  dispatcher->SetPlacement(Placement(1, 8, {&a}, kAllOnFirst));
  TestCall call(4, 8);
  call.Start(*dispatcher);
  ASSERT_TRUE(Eventually([&] { return dispatcher->Stats().missing_units > 0; }));
  dispatcher->SetPlacement(Placement(2, 8, {&a, &b}, {{1}, {1}, {1}, {1}}));
  EXPECT_TRUE(call.Wait().failures.empty());
}

TEST(ExpertDispatcherTest, ABrokenStreamIsResentToAReplicaAtOnce) {
  FakeShard a({.name = "a", .hold = true}), b({.name = "b"});
  const auto dispatcher = MakeDispatcher();
  dispatcher->SetPlacement(Placement(1, 8, {&a}, kAllOnFirst));
  TestCall call(6, 8);
  call.Start(*dispatcher);
  ASSERT_TRUE(a.WaitForDispatches(2));
  dispatcher->SetPlacement(Placement(2, 8, {&a, &b}, kBoth));
  ASSERT_TRUE(Eventually([&] {
    return dispatcher->Stats().shards[1].decode_connected &&
           dispatcher->Stats().shards[1].prefill_connected;
  }));
  a.Stop();
  EXPECT_TRUE(call.Wait().failures.empty());
  const DispatchStats stats = dispatcher->Stats();
  EXPECT_GE(stats.broken_streams, 1u);
  EXPECT_EQ(stats.retried_units, static_cast<std::uint64_t>(call.slots()));
}

TEST(ExpertDispatcherTest, AShardThatLeavesThePlacementLosesItsWork) {
  FakeShard a({.name = "a", .hold = true}), b({.name = "b"});
  const auto dispatcher = MakeDispatcher();
  dispatcher->SetPlacement(Placement(1, 8, {&a}, kAllOnFirst));
  TestCall call(6, 8);
  call.Start(*dispatcher);
  ASSERT_TRUE(a.WaitForDispatches(2));
  dispatcher->SetPlacement(Placement(2, 8, {&b}, kAllOnFirst));
  EXPECT_TRUE(call.Wait().failures.empty());
}

TEST(ExpertDispatcherTest, CountersOfAShardGoOnWhateverItsNumber) {
  FakeShard a({.name = "a"}), b({.name = "b"});
  const auto dispatcher = MakeDispatcher();
  const auto dispatches_of = [&dispatcher](const std::string& name) {
    for (const ShardDispatchStats& shard : dispatcher->Stats().shards) {
      if (shard.name == name) return shard.dispatches;
    }
    return std::uint64_t{0};
  };
  // Each is number 0 in turn, as after a coordinator that gives other numbers.
  std::uint64_t version = 0;
  for (const FakeShard* shard : {&a, &b, &a}) {
    dispatcher->SetPlacement(Placement(++version, 8, {shard}, kAllOnFirst));
    TestCall(6, 8).Run(*dispatcher);
    if (shard == &b) {
      EXPECT_EQ(dispatches_of("b"), 2u) << "not those of a";
    }
  }
  EXPECT_EQ(dispatches_of("a"), 4u);
}

TEST(ExpertDispatcherTest, WithoutAReplicaTheRowWaitsUntilOneComes) {
  const auto dispatcher = MakeDispatcher();
  TestCall call(3, 8);
  call.Start(*dispatcher);  // not even a placement yet
  EXPECT_EQ(dispatcher->Stats().waiting_units, static_cast<std::uint64_t>(call.slots()));
  FakeShard a({.name = "a"});
  dispatcher->SetPlacement(Placement(1, 8, {&a}, kNobody));
  EXPECT_THAT(std::string(dispatcher->Ready().message()), HasSubstr("layer 0 unit 0"));
  dispatcher->SetPlacement(Placement(2, 8, {&a}, kAllOnFirst));
  EXPECT_TRUE(call.Wait().failures.empty());
}

TEST(ExpertDispatcherTest, WithoutAReplicaTheDeadlineFailsTheRow) {
  const auto dispatcher = MakeDispatcher();
  TestCall call(3, 8, 1, In(absl::Milliseconds(20)));
  call.Start(*dispatcher);
  const ExpertOutcome outcome = call.Wait();
  ASSERT_EQ(outcome.failures.size(), 3u);
  for (int t = 0; t < 3; ++t) {
    EXPECT_EQ(outcome.failures[t].token, t);
    EXPECT_EQ(outcome.failures[t].status.code(), absl::StatusCode::kUnavailable);
  }
  EXPECT_EQ(dispatcher->Stats().failed_rows, 3u);
}

TEST(ExpertDispatcherTest, AnUnansweredDispatchIsCancelledAtTheDeadlineAndItsReplyDropped) {
  FakeShard a({.name = "a", .hold = true});
  const auto dispatcher = MakeDispatcher();
  dispatcher->SetPlacement(Placement(1, 8, {&a}, kAllOnFirst));
  ASSERT_TRUE(Eventually([&] { return dispatcher->Ready().ok(); }));
  TestCall call(1, 8, 1, In(absl::Milliseconds(50)));
  call.Start(*dispatcher);
  ASSERT_TRUE(a.WaitForDispatches(1));
  const ExpertOutcome outcome = call.Wait();
  ASSERT_EQ(outcome.failures.size(), 1u);
  EXPECT_EQ(outcome.failures[0].status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(a.WaitForCancels(1));
  a.ReleaseHeld();
  EXPECT_TRUE(Eventually([&] { return dispatcher->Stats().late_rows > 0; }));
  EXPECT_EQ(dispatcher->Stats().shards[0].in_flight_rows, 0u);
}

TEST(ExpertDispatcherTest, ADeadlineThatHasPassedFailsAtOnce) {
  const auto dispatcher = MakeDispatcher();
  TestCall call(2, 8, 1, In(-absl::Seconds(1)));
  call.Start(*dispatcher);
  EXPECT_EQ(call.Wait().failures.size(), 2u);
}

TEST(ExpertDispatcherTest, LargeCallsAreSplitAndPutTogether) {
  constexpr int kHidden = 4096;
  FakeShard a({.name = "a", .hidden_size = kHidden});
  const auto dispatcher = MakeDispatcher(kHidden);
  dispatcher->SetPlacement(Placement(1, kHidden, {&a}, kAllOnFirst));
  TestCall call(160, kHidden);  // 80 rows of 16 KiB a lane; replies have up to twice that
  EXPECT_EQ(call.Run(*dispatcher), call.Expected());
  EXPECT_GE(dispatcher->Stats().dispatches, 4u);
}

TEST(ExpertDispatcherTest, TheCreditOfAShardIsNotExceeded) {
  constexpr int kHidden = 4096;
  FakeShard a({.name = "a", .hidden_size = kHidden, .credit_bytes = 1});
  const auto dispatcher = MakeDispatcher(kHidden);
  dispatcher->SetPlacement(Placement(1, kHidden, {&a}, kAllOnFirst));
  TestCall call(160, kHidden);
  EXPECT_EQ(call.Run(*dispatcher), call.Expected());
}

TEST(ExpertDispatcherTest, RefusalsGoToAReplicaOrAreTriedAgain) {
  for (const auto code :
       {rpc::DispatchCode::kOverloaded, rpc::DispatchCode::kDraining, rpc::DispatchCode::kInternal,
        rpc::DispatchCode::kExpired, rpc::DispatchCode::kCancelled}) {
    FakeShard alone({.name = "alone", .first_code = code, .first_code_count = 3});
    const auto dispatcher = MakeDispatcher();
    dispatcher->SetPlacement(Placement(1, 8, {&alone}, kAllOnFirst));
    TestCall call(5, 8);
    EXPECT_EQ(call.Run(*dispatcher), call.Expected()) << rpc::DispatchCodeName(code);
    EXPECT_GT(dispatcher->Stats().retried_units, 0u);
  }
}

TEST(ExpertDispatcherTest, AnInvalidDispatchFailsItsRows) {
  FakeShard a({.name = "a", .first_code = rpc::DispatchCode::kInvalid, .first_code_count = 9});
  const auto dispatcher = MakeDispatcher();
  dispatcher->SetPlacement(Placement(1, 8, {&a}, kAllOnFirst));
  TestCall call(2, 8);
  call.Start(*dispatcher);
  const ExpertOutcome outcome = call.Wait();
  ASSERT_EQ(outcome.failures.size(), 2u);
  EXPECT_EQ(outcome.failures[0].status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(outcome.failures[0].status.message()), HasSubstr("shard a"));
}

TEST(ExpertDispatcherTest, RepliesThatDoNotFitAreNotBelieved) {
  std::vector<std::uint32_t> wrong_units(100, 77);
  const std::function<void(rpc::DispatchReply&)> tampers[] = {
      [&](rpc::DispatchReply& r) {
        r.unit_id = absl::MakeConstSpan(wrong_units).subspan(0, r.unit_id.size());
      },
      [&](rpc::DispatchReply& r) {
        r.row_index = absl::MakeConstSpan(wrong_units).subspan(0, r.row_index.size());
      },
      [](rpc::DispatchReply& r) {  // half the values, in another type
        r.dtype = rpc::WireDtype::kBF16;
        r.rows = r.rows.subspan(0, r.rows.size() / 2);
      },
      [](rpc::DispatchReply& r) {  // silent about everything
        r.row_index = {};
        r.unit_id = {};
        r.rows = {};
      },
  };
  for (const auto& tamper : tampers) {
    FakeShard liar({.name = "liar", .tamper = tamper}), honest({.name = "honest"});
    const auto dispatcher = MakeDispatcher();
    dispatcher->SetPlacement(Placement(1, 8, {&liar, &honest}, kBoth));
    ASSERT_TRUE(Eventually([&] { return dispatcher->Stats().shards[0].decode_connected; }));
    TestCall call(7, 8);
    EXPECT_EQ(call.Run(*dispatcher), call.Expected());
    EXPECT_GT(dispatcher->Stats().invalid_replies, 0u);
  }
}

TEST(ExpertDispatcherTest, AShardOfOtherNumericsIsNeverUsed) {
  FakeShard other({.name = "other", .numerics_id = "abba"}), good({.name = "good"});
  const auto dispatcher = MakeDispatcher();
  dispatcher->SetPlacement(Placement(1, 8, {&other, &good}, kBoth));
  TestCall call(5, 8);
  EXPECT_EQ(call.Run(*dispatcher), call.Expected());
  EXPECT_EQ(other.dispatches(), 0);
  ASSERT_TRUE(Eventually([&] { return !dispatcher->Stats().shards[0].last_error.ok(); }));
  const std::string error(dispatcher->Stats().shards[0].last_error.message());
  EXPECT_THAT(error, HasSubstr("abba"));
  EXPECT_THAT(error, HasSubstr("beef"));
}

TEST(ExpertDispatcherTest, ReadyFollowsTheConnections) {
  FakeShard a({.name = "a"});
  const auto dispatcher = MakeDispatcher();
  dispatcher->SetPlacement(Placement(1, 8, {&a}, kAllOnFirst));
  ASSERT_TRUE(Eventually([&] { return dispatcher->Ready().ok(); }));
  a.Stop();
  EXPECT_TRUE(Eventually([&] { return !dispatcher->Ready().ok(); }));
}

TEST(ExpertDispatcherTest, StoppingFailsWhatIsInFlight) {
  FakeShard a({.name = "a", .hold = true});
  auto dispatcher = MakeDispatcher();
  dispatcher->SetPlacement(Placement(1, 8, {&a}, kAllOnFirst));
  TestCall call(3, 8);
  call.Start(*dispatcher);
  ASSERT_TRUE(a.WaitForDispatches(2));
  dispatcher.reset();
  const ExpertOutcome outcome = call.Wait();
  ASSERT_EQ(outcome.failures.size(), 3u);
  EXPECT_EQ(outcome.failures[0].status.code(), absl::StatusCode::kUnavailable);
}

TEST(ExpertDispatcherTest, ManyCallsAtOnce) {
  FakeShard a({.name = "a"}), b({.name = "b"});
  const auto dispatcher = MakeDispatcher();
  dispatcher->SetPlacement(Placement(1, 8, {&a, &b}, kBoth));
  std::vector<std::unique_ptr<TestCall>> calls;
  for (unsigned i = 0; i < 40; ++i) {
    calls.push_back(std::make_unique<TestCall>(1 + i % 5, 8, i));
    calls.back()->Start(*dispatcher);
  }
  for (const auto& call : calls) EXPECT_TRUE(call->Wait().failures.empty());
}

TEST(ExpertDispatcherTest, ALateDispatchIsHedgedAndTheFirstReplyCounts) {
  FakeShard slow({.name = "slow", .hold = true}), quick({.name = "quick"});
  const auto dispatcher = MakeDispatcher(8, rpc::WireDtype::kF32, {});
  dispatcher->SetPlacement(Placement(1, 8, {&slow, &quick}, kBoth));
  ASSERT_TRUE(AllConnected(*dispatcher));
  TestCall call(8, 8);
  EXPECT_EQ(call.Run(*dispatcher), call.Expected());
  const DispatchStats stats = dispatcher->Stats();
  EXPECT_GT(stats.hedges, 0u);
  EXPECT_GT(stats.hedge_wins, 0u);
  EXPECT_EQ(stats.broken_streams, 0u);
  EXPECT_TRUE(slow.WaitForCancels(slow.dispatches())) << "what is not wanted any more is cancelled";
  slow.ReleaseHeld();
  EXPECT_TRUE(Eventually([&] { return dispatcher->Stats().late_rows > 0; }));
  for (const ShardDispatchStats& shard : dispatcher->Stats().shards) {
    EXPECT_EQ(shard.in_flight_rows, 0u);
  }
}

TEST(ExpertDispatcherTest, AReplyThatComesBeforeTheHedgeWins) {
  FakeShard slow({.name = "slow", .hold = true}), slower({.name = "slower", .hold = true});
  const auto dispatcher = MakeDispatcher(8, rpc::WireDtype::kF32, {});
  dispatcher->SetPlacement(Placement(1, 8, {&slow, &slower}, kBoth));
  ASSERT_TRUE(AllConnected(*dispatcher));
  TestCall call(8, 8);
  call.Start(*dispatcher);
  ASSERT_TRUE(Eventually([&] { return dispatcher->Stats().hedges >= 4; }));
  slow.ReleaseHeld();
  EXPECT_TRUE(call.Wait().failures.empty());
  slower.ReleaseHeld();
  EXPECT_TRUE(Eventually([&] { return dispatcher->Stats().late_rows > 0; }));
}

TEST(ExpertDispatcherTest, ASilentShardIsAvoidedUntilItAnswers) {
  FakeShard silent({.name = "silent", .hold = true}), good({.name = "good"});
  const auto dispatcher = MakeDispatcher(8, rpc::WireDtype::kF32, {});
  dispatcher->SetPlacement(Placement(1, 8, {&silent, &good}, kBoth));
  ASSERT_TRUE(AllConnected(*dispatcher));
  TestCall(8, 8).Run(*dispatcher);
  EXPECT_TRUE(dispatcher->Stats().shards[0].suspect) << "hedges won against it";
  silent.ReleaseHeld();
  ASSERT_TRUE(Eventually([&] { return !dispatcher->Stats().shards[0].suspect; }));
}

TEST(ExpertDispatcherTest, ASilentShardWithoutAReplicaIsSuspectToo) {
  FakeShard silent({.name = "silent", .hold = true}), good({.name = "good"});
  const auto dispatcher = MakeDispatcher(8, rpc::WireDtype::kF32, {});
  dispatcher->SetPlacement(Placement(2, 8, {&silent, &good}, kSplit));
  ASSERT_TRUE(AllConnected(*dispatcher));
  TestCall only_there(8, 8);
  only_there.Start(*dispatcher);
  ASSERT_TRUE(Eventually([&] { return dispatcher->Stats().shards[0].suspect; }));
  EXPECT_GE(dispatcher->Stats().suspicions, 1u);
  dispatcher->SetPlacement(Placement(3, 8, {&silent, &good}, kBoth));
  int before = 0;
  // A machine that stands still makes the good one suspect as well: then it is seen in another
  // round.
  ASSERT_TRUE(Eventually([&] {
    const DispatchStats calm = dispatcher->Stats();
    before = silent.dispatches();
    for (unsigned i = 0; i < 5; ++i) {
      TestCall call(8, 8, i);
      EXPECT_EQ(call.Run(*dispatcher), call.Expected());
    }
    if (calm.shards[1].suspect || dispatcher->Stats().suspicions != calm.suspicions) return false;
    EXPECT_EQ(silent.dispatches(), before) << "a suspect that owes an answer gets nothing more";
    return true;
  }));
  silent.ReleaseHeld();
  EXPECT_TRUE(only_there.Wait().failures.empty());
  EXPECT_TRUE(Eventually([&] { return !dispatcher->Stats().shards[0].suspect; }));
  EXPECT_TRUE(Eventually([&] {
    TestCall(8, 8).Run(*dispatcher);
    return silent.dispatches() > before;
  })) << "and is taken back";
}

/// What a lost stream reports about its shard is what the lock guards: a race for ThreadSanitizer.
TEST(ExpertDispatcherTest, ShardsBreakOffWhilePlacementsCome) {
  std::vector<std::unique_ptr<FakeShard>> shards;
  std::vector<const FakeShard*> named;
  for (int i = 0; i < 8; ++i) {
    shards.push_back(std::make_unique<FakeShard>(FakeShard::Options{.name = absl::StrCat("s", i)}));
    named.push_back(shards.back().get());
  }
  const auto dispatcher = MakeDispatcher();
  dispatcher->SetPlacement(Placement(1, 8, named, kAllOnFirst));
  ASSERT_TRUE(AllConnected(*dispatcher));
  std::atomic<bool> stopped = false;
  std::thread coordinator([&] {
    for (std::uint64_t version = 2; !stopped; ++version) {
      dispatcher->SetPlacement(Placement(version, 8, named, kAllOnFirst));
    }
  });
  for (const auto& shard : shards) shard->Stop();
  EXPECT_TRUE(Eventually([&] { return dispatcher->Stats().broken_streams >= 2 * shards.size(); }));
  stopped = true;
  coordinator.join();
}

TEST(ExpertDispatcherTest, WithoutBudgetNothingIsHedgedButABrokenStreamIsResent) {
  FakeShard silent({.name = "silent", .hold = true}), good({.name = "good"});
  auto created = ExpertDispatcher::Create({.hello = FakeHello("router-0", 8),
                                           .wire_dtype = rpc::WireDtype::kF32,
                                           .initial_backoff = absl::Milliseconds(5),
                                           .max_backoff = absl::Milliseconds(20),
                                           .budget = {.capacity = 0}});
  ASSERT_TRUE(created.ok());
  const auto dispatcher = *std::move(created);
  dispatcher->SetPlacement(Placement(1, 8, {&silent, &good}, kBoth));
  ASSERT_TRUE(AllConnected(*dispatcher));
  TestCall call(8, 8);
  call.Start(*dispatcher);
  ASSERT_TRUE(Eventually([&] { return dispatcher->Stats().budget_refusals > 0; }));
  EXPECT_EQ(dispatcher->Stats().hedges, 0u);
  silent.Stop();
  EXPECT_TRUE(call.Wait().failures.empty());
  EXPECT_EQ(dispatcher->Stats().hedges, 0u);
  EXPECT_GT(dispatcher->Stats().retried_units, 0u);
}

TEST(ExpertDispatcherTest, AHolderIsFoundByAskingWhereThePlacementKnowsNone) {
  FakeShard a({.name = "a"});
  const auto dispatcher = MakeDispatcher();
  dispatcher->SetPlacement(Placement(1, 8, {&a}, kNobody));
  TestCall call(6, 8);
  EXPECT_EQ(call.Run(*dispatcher), call.Expected());
  EXPECT_TRUE(dispatcher->Ready().ok());
  dispatcher->SetPlacement(Placement(2, 8, {&a}, kNobody));
  EXPECT_FALSE(dispatcher->Ready().ok()) << "a newer placement is believed first";
}

TEST(ExpertDispatcherTest, TheSameSeedChoosesTheSame) {
  FakeShard a({.name = "a"}), b({.name = "b"}), c({.name = "c"});
  std::vector<int> rows[2];
  for (auto& of_round : rows) {
    auto dispatcher = ExpertDispatcher::Create({.hello = FakeHello("router-0", 8),
                                                .wire_dtype = rpc::WireDtype::kF32,
                                                .budget = kNoHedges,
                                                .seed = 5});
    ASSERT_TRUE(dispatcher.ok());
    (*dispatcher)
        ->SetPlacement(Placement(1, 8, {&a, &b, &c}, {{0, 1, 2}, {0, 1, 2}, {0, 1, 2}, {0, 1, 2}}));
    ASSERT_TRUE(AllConnected(**dispatcher));
    TestCall(16, 8).Run(**dispatcher);
    for (const ShardDispatchStats& shard : (*dispatcher)->Stats().shards) {
      of_round.push_back(static_cast<int>(shard.rows));
    }
  }
  EXPECT_EQ(rows[0], rows[1]);
}

TEST(ExpertDispatcherTest, AnIdentityWithoutSizesIsRefused) {
  EXPECT_EQ(ExpertDispatcher::Create({.hello = FakeHello("r", 0)}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace moesaic::router
