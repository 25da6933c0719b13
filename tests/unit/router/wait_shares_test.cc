#include "router/engine/wait_shares.h"

#include "gtest/gtest.h"

namespace moesaic::router {
namespace {

testing::AssertionResult Is(const WaitShares& shares, std::int64_t wire, std::int64_t queue,
                            std::int64_t expert) {
  if (shares.wire == wire && shares.queue == queue && shares.expert == expert) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure()
         << "wire " << shares.wire << ", queue " << shares.queue << ", expert " << shares.expert;
}

TEST(DivideWaitTest, AllOfItWasWaited) {
  EXPECT_TRUE(Is(DivideWait(100, 100, 10, 60), 30, 10, 60));
}

TEST(DivideWaitTest, WhatWasOverlappedIsTheBeginning) {
  EXPECT_TRUE(Is(DivideWait(90, 100, 10, 60), 20, 10, 60));
  EXPECT_TRUE(Is(DivideWait(80, 100, 10, 60), 15, 5, 60));
  EXPECT_TRUE(Is(DivideWait(40, 100, 10, 60), 15, 0, 25));
  EXPECT_TRUE(Is(DivideWait(10, 100, 10, 60), 10, 0, 0));
  EXPECT_TRUE(Is(DivideWait(0, 100, 10, 60), 0, 0, 0));
}

TEST(DivideWaitTest, FiguresThatDoNotFit) {
  EXPECT_TRUE(Is(DivideWait(-5, 100, 10, 60), 0, 0, 0));
  EXPECT_TRUE(Is(DivideWait(100, 100, 0, 0), 100, 0, 0)) << "no answer";
  EXPECT_TRUE(Is(DivideWait(100, 100, 50, 80), 0, 20, 80)) << "the shard says more than there was";
  EXPECT_TRUE(Is(DivideWait(100, 100, -50, -80), 100, 0, 0));
}

}  // namespace
}  // namespace moesaic::router
