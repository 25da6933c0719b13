#include "base/loop.h"

#include <gtest/gtest.h>

#include <future>
#include <vector>

namespace moesaic::base {
namespace {

/// Returns when the loop has run everything posted before.
void Flush(Loop& loop) {
  std::promise<void> done;
  loop.PostCompletion([&] { done.set_value(); });
  done.get_future().wait();
}

TEST(LoopTest, RunsInOrderOnItsOwnThread) {
  std::vector<int> order;
  Loop loop(10);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(loop.Post([&, i] {
                      EXPECT_TRUE(loop.OnLoopThread());
                      order.push_back(i);
                    })
                    .ok());
  }
  Flush(loop);
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
  EXPECT_FALSE(loop.OnLoopThread());
}

TEST(LoopTest, AFullQueueIsResourceExhaustedButCompletionsPass) {
  Loop loop(1);
  std::promise<void> entered, release;
  ASSERT_TRUE(loop.Post([&] {
                    entered.set_value();
                    release.get_future().wait();
                  })
                  .ok());
  entered.get_future().wait();
  ASSERT_TRUE(loop.Post([] {}).ok());
  EXPECT_EQ(loop.Post([] {}).code(), absl::StatusCode::kResourceExhausted);
  bool completed = false;
  loop.PostCompletion([&] { completed = true; });
  release.set_value();
  Flush(loop);
  EXPECT_TRUE(completed);
}

TEST(LoopTest, TimersRunInDueOrder) {
  std::vector<int> order;
  std::promise<void> done;
  Loop loop(10);
  loop.PostAfter(absl::Milliseconds(20), [&] {
    order.push_back(2);
    done.set_value();
  });
  loop.PostAfter(absl::Milliseconds(1), [&] { order.push_back(1); });
  done.get_future().wait();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(LoopTest, StoppedLoopRefuses) {
  Loop loop(10);
  loop.Stop();
  EXPECT_EQ(loop.Post([] {}).code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace moesaic::base
