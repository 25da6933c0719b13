#include "placement/layer_quota.h"

#include <cstddef>

namespace moesaic::placement {

/// The slots of all shards in one row are dealt to the layers in turn, as cards are.
std::vector<std::vector<std::uint32_t>> LayerQuotas(absl::Span<const std::uint32_t> fits,
                                                    std::uint32_t layers) {
  std::vector<std::vector<std::uint32_t>> quotas(layers, std::vector<std::uint32_t>(fits.size()));
  std::uint32_t next = 0;
  for (std::size_t shard = 0; shard < fits.size() && layers > 0; ++shard) {
    for (std::uint32_t layer = 0; layer < layers; ++layer) {
      const std::uint32_t turn = (layer + layers - next) % layers;
      quotas[layer][shard] = fits[shard] / layers + (turn < fits[shard] % layers ? 1 : 0);
    }
    next = (next + fits[shard]) % layers;
  }
  return quotas;
}

}  // namespace moesaic::placement
