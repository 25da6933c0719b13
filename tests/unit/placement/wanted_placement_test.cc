#include "placement/wanted_placement.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace moesaic::placement {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr base::ShardId kA(1), kB(2);

TEST(WantedPlacement, BothDirectionsAgree) {
  WantedPlacement wanted;
  wanted.Reset(4);
  wanted.Set(kB, {0, 2});
  wanted.Set(kA, {2, 3});
  EXPECT_THAT(wanted.HoldersOf(2), ElementsAre(kA, kB));
  EXPECT_THAT(wanted.HoldersOf(1), IsEmpty());
  wanted.Add(kA, 0);
  wanted.Add(kA, 0);
  wanted.Remove(kB, 2);
  wanted.Remove(kB, 3);
  EXPECT_THAT(wanted.UnitsOf(kA), ElementsAre(0, 2, 3));
  EXPECT_THAT(wanted.UnitsOf(kB), ElementsAre(0));
  EXPECT_THAT(wanted.HoldersOf(0), ElementsAre(kA, kB));
  EXPECT_THAT(wanted.HoldersOf(2), ElementsAre(kA));
  wanted.Set(kA, {});
  EXPECT_THAT(wanted.HoldersOf(3), IsEmpty());
  EXPECT_THAT(wanted.UnitsOf(base::ShardId(9)), IsEmpty());
  wanted.Reset(2);
  EXPECT_THAT(wanted.UnitsOf(kB), IsEmpty());
}

}  // namespace
}  // namespace moesaic::placement
