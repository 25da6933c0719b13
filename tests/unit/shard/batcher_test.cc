#include "shard/batcher.h"

#include <map>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace moesaic::shard {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr absl::Duration kNow = absl::Seconds(50);

/// Memory that the tests' dispatches borrow.
const std::vector<std::uint32_t>& Zeros() {
  static const std::vector<std::uint32_t> zeros(1 << 16, 0);
  return zeros;
}

Work MakeWork(std::uint64_t id, const std::string& router, std::uint32_t layer, std::uint32_t rows,
              rpc::Lane lane = rpc::Lane::kDecode) {
  Work work;
  work.stream = std::hash<std::string>()(router) + (lane == rpc::Lane::kPrefill ? 1 : 0);
  work.router = router;
  work.lane = lane;
  work.received = kNow;
  work.dispatch.dispatch_id = id;
  work.dispatch.layer = base::LayerId(layer);
  work.dispatch.row_index = absl::MakeConstSpan(Zeros()).subspan(0, rows);
  return work;
}

std::vector<std::uint64_t> Ids(const std::vector<Work>& works) {
  std::vector<std::uint64_t> ids;
  for (const Work& work : works) ids.push_back(work.dispatch.dispatch_id);
  return ids;
}

std::vector<std::uint64_t> NextIds(Batcher& batcher) { return Ids(batcher.Next(kNow).batch.works); }

TEST(Batcher, IsEmptyAtFirst) {
  Batcher batcher({});
  EXPECT_TRUE(batcher.empty());
  EXPECT_THAT(batcher.Next(kNow).batch.works, IsEmpty());
}

TEST(Batcher, MergesWhatWaitsForOneLayer) {
  Batcher batcher({});
  batcher.Add(MakeWork(1, "a", 3, 4));
  batcher.Add(MakeWork(2, "a", 7, 4));
  batcher.Add(MakeWork(3, "b", 3, 4));
  batcher.Add(MakeWork(4, "a", 3, 4));
  EXPECT_EQ(batcher.rows_waiting(rpc::Lane::kDecode), 16u);
  const Batcher::Batch batch = batcher.Next(kNow).batch;
  EXPECT_THAT(Ids(batch.works), ::testing::UnorderedElementsAre(1, 3, 4));
  EXPECT_EQ(batch.rows, 12u);
  EXPECT_THAT(NextIds(batcher), ElementsAre(2));
  EXPECT_TRUE(batcher.empty());
  EXPECT_EQ(batcher.rows_waiting(rpc::Lane::kDecode), 0u);
}

TEST(Batcher, StopsMergingAtTheMaximum) {
  Batcher batcher({.max_batch_rows = 10});
  for (std::uint64_t id = 1; id <= 4; ++id) batcher.Add(MakeWork(id, "a", 0, 4));
  batcher.Add(MakeWork(5, "a", 0, 2));
  EXPECT_THAT(NextIds(batcher), ElementsAre(1, 2, 5));
  EXPECT_THAT(NextIds(batcher), ElementsAre(3, 4));
}

TEST(Batcher, ADispatchAboveTheMaximumIsABatchOfItsOwn) {
  Batcher batcher({.max_batch_rows = 10});
  batcher.Add(MakeWork(1, "a", 0, 1000));
  batcher.Add(MakeWork(2, "a", 0, 1));
  EXPECT_THAT(NextIds(batcher), ElementsAre(1));
  EXPECT_THAT(NextIds(batcher), ElementsAre(2));
}

TEST(Batcher, LanesAreNotMixedAndDecodeGoesFirst) {
  Batcher batcher({});
  batcher.Add(MakeWork(1, "a", 0, 8, rpc::Lane::kPrefill));
  batcher.Add(MakeWork(2, "a", 0, 1, rpc::Lane::kDecode));
  EXPECT_THAT(NextIds(batcher), ElementsAre(2));
  EXPECT_THAT(NextIds(batcher), ElementsAre(1));
}

TEST(Batcher, PrefillKeepsItsShareUnderSaturation) {
  Batcher batcher({.max_batch_rows = 8, .prefill_share_percent = 25});
  std::uint64_t id = 0;
  std::map<rpc::Lane, std::uint32_t> rows;
  for (int i = 0; i < 400; ++i) {
    while (batcher.rows_waiting(rpc::Lane::kDecode) < 16) {
      batcher.Add(MakeWork(++id, "a", 0, 4, rpc::Lane::kDecode));
    }
    while (batcher.rows_waiting(rpc::Lane::kPrefill) < 16) {
      batcher.Add(MakeWork(++id, "b", 0, 8, rpc::Lane::kPrefill));
    }
    const Batcher::Batch batch = batcher.Next(kNow).batch;
    rows[batch.works.front().lane] += batch.rows;
  }
  const double share = static_cast<double>(rows[rpc::Lane::kPrefill]) /
                       (rows[rpc::Lane::kPrefill] + rows[rpc::Lane::kDecode]);
  EXPECT_GE(share, 0.24);
  EXPECT_LE(share, 0.30);
}

TEST(Batcher, RoutersShareRowsWhateverTheSizeOfTheirDispatches) {
  // Layers differ, so that nothing is merged across routers.
  Batcher batcher({.max_batch_rows = 1, .quantum_rows = 64});
  std::map<std::string, std::uint32_t> rows;
  std::uint64_t id = 0;
  std::map<std::string, int> waiting;
  for (int i = 0; i < 2000; ++i) {
    for (; waiting["small"] < 20; ++waiting["small"]) batcher.Add(MakeWork(++id, "small", 1, 5));
    for (; waiting["large"] < 20; ++waiting["large"]) batcher.Add(MakeWork(++id, "large", 2, 50));
    const Batcher::Batch batch = batcher.Next(kNow).batch;
    ASSERT_THAT(batch.works, SizeIs(1));
    rows[batch.works[0].router] += batch.rows;
    --waiting[batch.works[0].router];
  }
  EXPECT_NEAR(rows["small"], rows["large"], 0.05 * rows["large"]);
}

TEST(Batcher, BoundsTheBytesOfARouterOverBothLanes) {
  const std::uint64_t one = MakeWork(0, "a", 0, 10).bytes();
  Batcher batcher({.queue_bytes_per_router = 2 * one});
  EXPECT_FALSE(batcher.Add(MakeWork(1, "a", 0, 10)).has_value());
  EXPECT_FALSE(batcher.Add(MakeWork(2, "a", 1, 10, rpc::Lane::kPrefill)).has_value());
  const auto refused = batcher.Add(MakeWork(3, "a", 0, 10));
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->dispatch.dispatch_id, 3u);
  EXPECT_FALSE(batcher.Add(MakeWork(4, "b", 0, 10)).has_value()) << "another router has room";
  NextIds(batcher);
  EXPECT_FALSE(batcher.Add(MakeWork(5, "a", 0, 10)).has_value()) << "room again";
}

TEST(Batcher, DropsExpiredWorkBeforeComputing) {
  Batcher batcher({});
  Work late = MakeWork(1, "a", 0, 4);
  late.deadline = kNow;
  batcher.Add(std::move(late));
  Work timely = MakeWork(2, "a", 0, 4);
  timely.deadline = kNow + absl::Milliseconds(1);
  batcher.Add(std::move(timely));
  const Batcher::Selection selection = batcher.Next(kNow);
  EXPECT_THAT(Ids(selection.expired), ElementsAre(1));
  EXPECT_THAT(Ids(selection.batch.works), ElementsAre(2));
  EXPECT_TRUE(batcher.empty());
}

TEST(Batcher, CancelsByStreamAndId) {
  Batcher batcher({});
  for (std::uint64_t id = 1; id <= 3; ++id) batcher.Add(MakeWork(id, "a", 0, 4));
  batcher.Add(MakeWork(1, "b", 0, 4));
  const auto cancelled = batcher.Cancel(MakeWork(0, "a", 0, 0).stream, {1, 3, 99});
  EXPECT_THAT(Ids(cancelled), ElementsAre(1, 3));
  EXPECT_EQ(batcher.works_waiting(), 2u);
  EXPECT_EQ(batcher.rows_waiting(rpc::Lane::kDecode), 8u);
  batcher.CloseStream(MakeWork(0, "b", 0, 0).stream);
  EXPECT_THAT(NextIds(batcher), ElementsAre(2));
}

TEST(Batcher, WorkWithoutAssignmentsPassesThrough) {
  Batcher batcher({});
  batcher.Add(MakeWork(1, "a", 0, 0));
  EXPECT_THAT(NextIds(batcher), ElementsAre(1));
  EXPECT_TRUE(batcher.empty());
}

}  // namespace
}  // namespace moesaic::shard
