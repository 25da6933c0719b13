#include "router/dispatch/shard_estimate.h"

#include "gtest/gtest.h"

namespace moesaic::router {
namespace {

constexpr auto kDecode = rpc::Lane::kDecode;
constexpr auto kPrefill = rpc::Lane::kPrefill;

ShardEstimate::Answer Answer(absl::Duration round_trip) {
  return {.lane = kDecode,
          .rows = 4,
          .round_trip = round_trip,
          .queue_wait = absl::Microseconds(30),
          .compute = absl::Microseconds(100),
          .batch_rows = 10,
          .ns_per_row = 0,
          .ns_per_expert = 0};
}

TEST(ShardEstimateTest, CostComesFromReplies_ThenThePlacement_ThenAGuess) {
  ShardEstimate estimate;
  const ShardWork work{.rows = 10, .experts = 2};
  placement::ShardInfo info;
  const absl::Duration guessed = estimate.Cost(work, info);
  EXPECT_GT(guessed, absl::ZeroDuration());
  EXPECT_EQ(estimate.Cost({.rows = 20, .experts = 9}, info), 2 * guessed) << "only rows count";
  info.us_per_row = 3;
  info.us_per_expert = 50;
  EXPECT_EQ(estimate.Cost(work, info), absl::Microseconds(130));
  ShardEstimate::Answer answer = Answer(absl::Microseconds(200));
  estimate.OnAnswer(answer, absl::ZeroDuration());
  EXPECT_EQ(estimate.Cost(work, info), absl::Microseconds(100)) << "a shard that does not say";
  answer.ns_per_row = 2000;
  answer.ns_per_expert = 40'000;
  estimate.OnAnswer(answer, absl::ZeroDuration());
  EXPECT_EQ(estimate.Cost(work, info), absl::Microseconds(100));
  EXPECT_EQ(estimate.Cost({.rows = 10, .experts = 0}, info), absl::Microseconds(20));
}

TEST(ShardEstimateTest, AQueueIsForgottenAfterAWhile) {
  ShardEstimate estimate;
  ShardEstimate::Answer answer = Answer(absl::Milliseconds(20));
  answer.queue_wait = absl::Milliseconds(19);
  for (int i = 0; i < 50; ++i) estimate.OnAnswer(answer, absl::Seconds(1));
  EXPECT_GT(estimate.Overhead(kDecode, absl::Seconds(1)), absl::Milliseconds(18));
  EXPECT_LT(estimate.Overhead(kPrefill, absl::Seconds(1)), absl::Milliseconds(2)) << "its own lane";
  EXPECT_LT(estimate.Overhead(kDecode, absl::Seconds(2)), absl::Milliseconds(2));
}

TEST(ShardEstimateTest, OneLateAnswerDoesNotMakeTheWayLong) {
  ShardEstimate estimate;
  estimate.OnAnswer(Answer(absl::Microseconds(230)), absl::ZeroDuration());
  estimate.OnAnswer(Answer(absl::Seconds(5)), absl::ZeroDuration());
  EXPECT_LT(estimate.Overhead(kDecode, absl::ZeroDuration()), absl::Microseconds(200));
  EXPECT_LT(estimate.Overhead(kDecode, absl::Seconds(5)), absl::Microseconds(1)) << "and fades";
}

TEST(ShardEstimateTest, HedgesAfterTheNinetyNinthPercentileOfThatSize) {
  ShardEstimate estimate;
  const absl::Duration predicted = absl::Milliseconds(1);
  EXPECT_GE(estimate.HedgeAfter(kDecode, 4, predicted), absl::Milliseconds(50)) << "a guess first";
  for (int i = 0; i < 100; ++i) {
    estimate.OnAnswer(Answer(absl::Milliseconds(5)), absl::ZeroDuration());
  }
  const absl::Duration after = estimate.HedgeAfter(kDecode, 4, predicted);
  EXPECT_GE(after, absl::Milliseconds(5));
  EXPECT_LT(after, absl::Milliseconds(7));
  EXPECT_EQ(estimate.HedgeAfter(kDecode, 7, predicted), after) << "the same class of size";
  EXPECT_GE(estimate.HedgeAfter(kDecode, 8, predicted), absl::Milliseconds(50));
  EXPECT_GE(estimate.HedgeAfter(kPrefill, 4, predicted), absl::Milliseconds(50));
}

TEST(ShardEstimateTest, WhatWasGivenUpCountsAsSlow) {
  ShardEstimate estimate;
  for (int i = 0; i < 60; ++i) estimate.OnAnswer(Answer(absl::Milliseconds(5)), {});
  for (int i = 0; i < 10; ++i) estimate.OnAbandoned(kDecode, 4, absl::Milliseconds(200));
  EXPECT_GE(estimate.HedgeAfter(kDecode, 4, {}), absl::Milliseconds(200));
}

TEST(ShardEstimateTest, TheDelayHasLimits) {
  ShardEstimate estimate;
  for (int i = 0; i < 60; ++i) estimate.OnAnswer(Answer(absl::Microseconds(50)), {});
  EXPECT_EQ(estimate.HedgeAfter(kDecode, 4, {}), absl::Milliseconds(1));
  EXPECT_EQ(estimate.HedgeAfter(kPrefill, 4, absl::Seconds(100)), absl::Seconds(2));
}

}  // namespace
}  // namespace moesaic::router
