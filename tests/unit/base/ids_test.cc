#include "base/ids.h"

#include <gtest/gtest.h>

#include <type_traits>
#include <unordered_set>

namespace moesaic::base {
namespace {

static_assert(!std::is_convertible_v<LayerId, ExpertId>);
static_assert(!std::is_convertible_v<int, LayerId>);

TEST(IdsTest, CompareAndHash) {
  EXPECT_LT(UnitId(1), UnitId(2));
  EXPECT_EQ((std::unordered_set<ShardId>{ShardId(1), ShardId(1), ShardId(2)}.size()), 2u);
}

TEST(IdsTest, AHigherTermAlwaysWins) {
  EXPECT_LT((PlacementEpoch{1, 99}), (PlacementEpoch{2, 0}));
  EXPECT_LT((PlacementEpoch{2, 0}), (PlacementEpoch{2, 1}));
}

}  // namespace
}  // namespace moesaic::base
