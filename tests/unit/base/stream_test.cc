#include "base/stream.h"

#include <gtest/gtest.h>

#include <future>
#include <vector>

namespace moesaic::base {
namespace {

TEST(CpuStreamTest, RunsItemsInOrderAndThenCompletes) {
  ComputePool pool(3);
  CpuStream stream(pool);
  std::vector<int> order;  // items never overlap, so no lock
  for (int i = 0; i < 100; ++i) {
    stream.Enqueue([&order, i](ComputePool&) { order.push_back(i); });
  }
  std::promise<std::size_t> seen;
  stream.OnComplete([&] { seen.set_value(order.size()); });
  EXPECT_EQ(seen.get_future().get(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[i], i);
}

TEST(CpuStreamTest, TwoStreamsShareAPool) {
  ComputePool pool(2);
  std::promise<void> first_running, second_done;
  CpuStream first(pool), second(pool);
  first.Enqueue([&](ComputePool&) {
    first_running.set_value();
    second_done.get_future().wait();  // finishes only if the other stream proceeds meanwhile
  });
  first_running.get_future().wait();
  second.Enqueue([&](ComputePool& p) { p.ParallelFor(10, [](std::int64_t) {}); });
  second.OnComplete([&] { second_done.set_value(); });
}

}  // namespace
}  // namespace moesaic::base
