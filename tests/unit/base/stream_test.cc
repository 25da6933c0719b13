#include "base/stream.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>
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

TEST(CpuStreamTest, RunsHereWhatIsToRunHere) {
  ComputePool pool(2);
  CpuStream stream(pool);
  stream.RunHere(true);
  std::vector<std::thread::id> ran_on;
  stream.Enqueue([&](ComputePool&) { ran_on.push_back(std::this_thread::get_id()); });
  ASSERT_EQ(ran_on.size(), 1u);  // already
  stream.OnComplete([&] { ran_on.push_back(std::this_thread::get_id()); });
  stream.RunHere(false);
  std::promise<std::thread::id> elsewhere;
  stream.Enqueue([&](ComputePool&) { elsewhere.set_value(std::this_thread::get_id()); });
  EXPECT_NE(elsewhere.get_future().get(), std::this_thread::get_id());
  EXPECT_EQ(ran_on, std::vector<std::thread::id>(2, std::this_thread::get_id()));
}

/// Moves on by what items say they took.
class SteppedClock final : public Clock {
 public:
  absl::Duration Monotonic() const override { return absl::Milliseconds(now_ms.load()); }
  absl::Time Now() const override { return absl::UnixEpoch() + Monotonic(); }
  std::atomic<int> now_ms{100};
};

TEST(CpuStreamTest, AddsUpTheTimeOfItemsByTag) {
  for (const bool here : {false, true}) {
    SteppedClock clock;
    ComputePool pool(1);
    CpuStream stream(pool, &clock);
    stream.RunHere(here);
    const auto takes = [&](int tag, int ms) {
      stream.SetTag(tag);
      stream.Enqueue([&clock, ms](ComputePool&) { clock.now_ms += ms; });
    };
    takes(1, 5);
    takes(1, 6);
    takes(2, 7);
    takes(1, 1);
    std::promise<std::array<std::int64_t, CpuStream::kTags>> seen;
    stream.OnComplete([&] { seen.set_value(stream.RunNanoseconds()); });
    const auto times = seen.get_future().get();
    EXPECT_EQ(times[1], 12'000'000);
    EXPECT_EQ(times[2], 7'000'000);
    EXPECT_EQ(times[0], 0);
  }
}

}  // namespace
}  // namespace moesaic::base
