#include "placement/removal_guard.h"

#include "gtest/gtest.h"

namespace moesaic::placement {
namespace {

constexpr absl::Duration kLease = absl::Seconds(10);

/// Ticks every 100 ms up to `end`; true when one of them took the time between for a pause.
bool TickUntil(RemovalGuard& guard, absl::Duration from, absl::Duration end) {
  bool paused = false;
  for (absl::Duration now = from; now <= end; now += absl::Milliseconds(100)) {
    paused = guard.Tick(now) || paused;
  }
  return paused;
}

TEST(RemovalGuardTest, NothingIsRemovedInTheFirstLease) {
  RemovalGuard guard(kLease, absl::ZeroDuration());
  EXPECT_FALSE(guard.MayRemove());
  EXPECT_FALSE(TickUntil(guard, absl::ZeroDuration(), absl::Seconds(9)));
  EXPECT_FALSE(guard.MayRemove());
  TickUntil(guard, absl::Seconds(9), absl::Seconds(10));
  EXPECT_TRUE(guard.MayRemove());
}

TEST(RemovalGuardTest, NorInTheLeaseAfterAPause) {
  RemovalGuard guard(kLease, absl::ZeroDuration());
  TickUntil(guard, absl::ZeroDuration(), absl::Seconds(20));
  EXPECT_FALSE(guard.Tick(absl::Seconds(21))) << "a busy machine";
  EXPECT_TRUE(guard.Tick(absl::Seconds(30)));
  EXPECT_FALSE(guard.MayRemove());
  EXPECT_FALSE(TickUntil(guard, absl::Seconds(30), absl::Seconds(40)));
  EXPECT_TRUE(guard.MayRemove());
}

TEST(RemovalGuardTest, MoreThanAThirdAtOnceFreezes) {
  RemovalGuard guard(kLease, absl::ZeroDuration());
  TickUntil(guard, absl::ZeroDuration(), absl::Seconds(20));
  const struct {
    std::uint32_t silent, present;
    bool frozen;
  } cases[] = {{0, 0, false}, {0, 9, false}, {1, 1, false}, {1, 2, false},
               {2, 6, false}, {2, 5, true},  {2, 2, true},  {3, 9, false}};
  for (const auto& c : cases) {
    EXPECT_EQ(guard.Freeze(c.silent, c.present), c.frozen) << c.silent << " of " << c.present;
    EXPECT_EQ(guard.MayRemove(), !c.frozen);
  }
}

}  // namespace
}  // namespace moesaic::placement
