#include "placement/view/placement_holder.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/placement/placement_fixture.h"

namespace moesaic::placement {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(PlacementHolder, AdoptsNewerEpochsOnly) {
  PlacementHolder holder;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> heard;
  holder.AddListener([&](std::shared_ptr<const PlacementMap> map) {
    heard.emplace_back(map->epoch().term, map->epoch().version);
  });
  EXPECT_EQ(holder.Current(), nullptr);
  EXPECT_TRUE(holder.Adopt(TestMap({1, 5})).ok());
  EXPECT_TRUE(holder.Adopt(TestMap({1, 5})).ok());
  EXPECT_TRUE(holder.Adopt(TestMap({2, 1})).ok());
  const absl::Status refused = holder.Adopt(TestMap({1, 9}));
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(refused.message(), HasSubstr("1.9 is older than the current 2.1"));
  EXPECT_EQ(holder.Current()->epoch(), (base::PlacementEpoch{2, 1}));
  EXPECT_THAT(heard, ElementsAre(std::pair(1, 5), std::pair(2, 1)));
}

}  // namespace
}  // namespace moesaic::placement
