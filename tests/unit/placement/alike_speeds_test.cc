#include "placement/alike_speeds.h"

#include "gtest/gtest.h"

namespace moesaic::placement {
namespace {

std::vector<ShardCapacity> Shards(std::vector<double> us_per_row) {
  std::vector<ShardCapacity> shards;
  for (const double us : us_per_row) {
    shards.emplace_back().id = base::ShardId(static_cast<std::uint32_t>(shards.size()));
    shards.back().us_per_row = us;
  }
  return shards;
}

std::vector<double> Speeds(const std::vector<ShardCapacity>& shards) {
  std::vector<double> speeds;
  for (const ShardCapacity& shard : shards) speeds.push_back(shard.us_per_row);
  return speeds;
}

TEST(TakeAlikeAsEqual, NoiseGoesAndRealDifferencesStay) {
  auto shards = Shards({1.1, 1.0, 0.9, 4, 0, 0.2});
  TakeAlikeAsEqual({1.25, 1.25, 1.25, 1.25, 1.25, 1.25}, shards);
  EXPECT_EQ(Speeds(shards), (std::vector<double>{1, 1, 1, 4, 0, 0.2}));
}

TEST(TakeAlikeAsEqual, EachHasItsOwnTolerance) {
  auto shards = Shards({1.4, 1, 1.4});
  shards[0].us_per_row = 1;
  TakeAlikeAsEqual({1.1, 1.1, 1.5}, shards);
  EXPECT_EQ(Speeds(shards), (std::vector<double>{1, 1, 1}));
  shards[2].us_per_row = 1.4;
  TakeAlikeAsEqual({1.1, 1.1, 1.1}, shards);
  EXPECT_EQ(shards[2].us_per_row, 1.4);
}

TEST(TakeAlikeAsEqual, NothingMeasuredIsLeftAlone) {
  auto shards = Shards({0, 0});
  TakeAlikeAsEqual({1.2, 1.2}, shards);
  EXPECT_EQ(Speeds(shards), (std::vector<double>{0, 0}));
}

}  // namespace
}  // namespace moesaic::placement
