#include "placement/layer_quota.h"

#include <algorithm>
#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace moesaic::placement {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(LayerQuota, RemaindersGoToDifferentLayers) {
  EXPECT_THAT(LayerQuotas(std::vector<std::uint32_t>{4, 4, 4}, 3),
              ElementsAre(ElementsAre(2, 1, 1), ElementsAre(1, 2, 1), ElementsAre(1, 1, 2)));
  EXPECT_THAT(LayerQuotas(std::vector<std::uint32_t>{1, 0, 6}, 2),
              ElementsAre(ElementsAre(1, 0, 3), ElementsAre(0, 0, 3)));
  EXPECT_THAT(LayerQuotas({}, 1), ElementsAre(IsEmpty()));
  EXPECT_THAT(LayerQuotas({}, 0), IsEmpty());
}

TEST(LayerQuota, NothingIsLostAndLayersAreEqual) {
  const std::vector<std::uint32_t> fits = {7, 0, 13, 1, 22, 5};
  for (std::uint32_t layers = 1; layers < 9; ++layers) {
    const auto quotas = LayerQuotas(fits, layers);
    std::vector<std::uint32_t> of_layer;
    for (const auto& quota : quotas) {
      of_layer.push_back(std::accumulate(quota.begin(), quota.end(), 0u));
    }
    EXPECT_LE(*std::max_element(of_layer.begin(), of_layer.end()),
              *std::min_element(of_layer.begin(), of_layer.end()) + 1);
    for (std::size_t shard = 0; shard < fits.size(); ++shard) {
      std::uint32_t sum = 0;
      for (const auto& quota : quotas) sum += quota[shard];
      EXPECT_EQ(sum, fits[shard]);
    }
  }
}

}  // namespace
}  // namespace moesaic::placement
