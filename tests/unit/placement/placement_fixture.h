#pragma once

#include <memory>
#include <utility>

#include "placement/view/placement_map.h"

namespace moesaic::placement {

inline ModelIdentity TestModel() {
  return {.model_id = "model",
          .model_fingerprint = "f1",
          .numerics_id = "n1",
          .hidden_size = 64,
          .unit_size = 2};
}

/// Two MoE layers of three units.
inline ExpertTopology TestTopology() {
  return {.moe_layers = {base::LayerId(1), base::LayerId(3)},
          .experts_per_layer = 6,
          .unit_size = 2,
          .unit_bytes = 100};
}

/// Shard 0 holds everything, shard 4 the first unit too.
inline PlacementMap::Parts TestParts(base::PlacementEpoch epoch) {
  PlacementMap::Parts parts{.epoch = epoch,
                            .model = TestModel(),
                            .topology = TestTopology(),
                            .shards = {},
                            .holders = {6, {base::ShardId(0)}},
                            .replicas_wanted = 1};
  parts.shards.emplace_back().id = base::ShardId(0);
  parts.shards.back().name = "a";
  parts.shards.back().address = "127.0.0.1:1";
  parts.shards.emplace_back().id = base::ShardId(4);
  parts.shards.back().name = "b";
  parts.shards.back().address = "127.0.0.1:2";
  parts.shards.back().node_share = {
      .price_class = "m7i.large", .capacity_type = "spot", .share = 0.25};
  parts.holders[0].push_back(base::ShardId(4));
  return parts;
}

inline std::shared_ptr<const PlacementMap> TestMap(base::PlacementEpoch epoch) {
  return *PlacementMap::Build(TestParts(epoch));
}

}  // namespace moesaic::placement
