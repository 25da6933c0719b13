#include "base/compute_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

namespace moesaic::base {
namespace {

TEST(ComputePoolTest, EveryIndexRunsOnce) {
  for (int threads : {1, 2, 4}) {
    ComputePool pool(threads);
    for (std::int64_t count : {0, 1, 2, 100}) {
      std::vector<std::atomic<int>> hits(count);
      pool.ParallelFor(count, [&](std::int64_t i) { hits[i].fetch_add(1); });
      for (const auto& hit : hits) ASSERT_EQ(hit.load(), 1);
    }
  }
}

TEST(ComputePoolTest, NestedLoopsOnPoolThreadsDoNotDeadlock) {
  ComputePool pool(2);
  std::atomic<int> total{0};
  std::atomic<int> tasks{0};
  for (int t = 0; t < 8; ++t) {
    pool.Submit([&] {
      pool.ParallelFor(10, [&](std::int64_t) {
        pool.ParallelFor(10, [&](std::int64_t) { total.fetch_add(1); });
      });
      tasks.fetch_add(1);
    });
  }
  while (tasks.load() < 8) std::this_thread::yield();
  EXPECT_EQ(total.load(), 800);
}

TEST(ComputePoolTest, DestructionRunsWhatWasSubmitted) {
  std::atomic<int> ran{0};
  {
    ComputePool pool(2);
    for (int i = 0; i < 50; ++i) pool.Submit([&] { ran.fetch_add(1); });
  }
  EXPECT_EQ(ran.load(), 50);
}

}  // namespace
}  // namespace moesaic::base
