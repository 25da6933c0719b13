#include "router/api/front_end.h"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace moesaic::router {
namespace {

TEST(FrontEndTest, StrandRunsItsTasksInOrderOneAtATime) {
  FrontEnd front_end(3, 10);
  std::vector<std::vector<int>> seen(4);
  std::vector<std::shared_ptr<Strand>> strands;
  for (std::size_t s = 0; s < seen.size(); ++s) strands.push_back(front_end.NewStrand());
  for (int i = 0; i < 100; ++i) {
    for (std::size_t s = 0; s < seen.size(); ++s) {
      strands[s]->Post([&seen, s, i] { seen[s].push_back(i); });
    }
  }
  front_end.Stop();
  for (const std::vector<int>& order : seen) {
    ASSERT_EQ(order.size(), 100u);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(order[i], i);
  }
}

TEST(FrontEndTest, RefusesWhenTooManyWaitToBegin) {
  FrontEnd front_end(1, 2);
  const std::shared_ptr<Strand> blocker = front_end.NewStrand();
  std::atomic<bool> blocking{false}, release{false};
  blocker->Post([&] {
    blocking = true;
    while (!release) std::this_thread::yield();
  });
  while (!blocking) std::this_thread::yield();
  const std::shared_ptr<Strand> strand = front_end.NewStrand();
  int ran = 0;
  EXPECT_TRUE(front_end.Start(*strand, [&] { ++ran; }).ok());
  EXPECT_TRUE(front_end.Start(*strand, [&] { ++ran; }).ok());
  EXPECT_EQ(front_end.Start(*strand, [&] { ++ran; }).code(), absl::StatusCode::kResourceExhausted);
  release = true;
  front_end.Stop();
  EXPECT_EQ(ran, 2);
}

TEST(FrontEndTest, TasksPostedByTasksStillRunWhileStopping) {
  FrontEnd front_end(1, 2);
  const std::shared_ptr<Strand> strand = front_end.NewStrand();
  int ran = 0;
  strand->Post([&] { strand->Post([&] { ++ran; }); });
  front_end.Stop();
  EXPECT_EQ(ran, 1);
}

TEST(FrontEndTest, StrandOutlivesItsThreads) {
  std::shared_ptr<Strand> strand;
  {
    FrontEnd front_end(1, 2);
    strand = front_end.NewStrand();
  }
  bool ran = false;
  strand->Post([&] { ran = true; });
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace moesaic::router
