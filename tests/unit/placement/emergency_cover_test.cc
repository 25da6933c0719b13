#include "placement/emergency_cover.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace moesaic::placement {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr base::ShardId kA(1), kB(2);

TEST(CoverLost, GoesWhereThereIsMostRoom) {
  const auto covers = CoverLost(
      {.live = {{kA, 1, {0}}, {kB, 3, {1}}}, .live_copies = {1, 1, 0, 0, 0}, .lost = {2, 3, 4}});
  ASSERT_THAT(covers, SizeIs(3));
  EXPECT_EQ(covers[0].shard, kB);
  EXPECT_EQ(covers[1].shard, kB);
  for (const Cover& cover : covers) EXPECT_FALSE(cover.evicted.has_value());
}

TEST(CoverLost, EvictsOnlyWhatHasAnotherCopy) {
  const auto covers = CoverLost(
      {.live = {{kA, 0, {0, 1}}, {kB, 0, {1, 2}}}, .live_copies = {1, 2, 1, 0, 0}, .lost = {3, 4}});
  ASSERT_THAT(covers, SizeIs(1)) << "unit 4 would take the last copy of something";
  EXPECT_EQ(covers[0].unit, 3u);
  EXPECT_EQ(covers[0].evicted, 1u);
}

TEST(CoverLost, WithoutALiveShardNothingCanBeDone) {
  EXPECT_THAT(CoverLost({.live = {}, .live_copies = {0}, .lost = {0}}), IsEmpty());
}

}  // namespace
}  // namespace moesaic::placement
