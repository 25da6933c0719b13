#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "proto/moesaic/v1/common.pb.h"
#include "proto/moesaic/v1/coordinator.pb.h"
#include "rpc/model_identity.h"

namespace moesaic::placement {

// Defined once, where the handshake needs it too.
using rpc::CheckSameModel;
using rpc::IdentityFromProto;
using rpc::IdentityToProto;
using rpc::ModelIdentity;

/// One unit of the whole model; ordered by layer, then unit. Immutable value.
struct UnitKey {
  base::LayerId layer;
  base::UnitId unit;
  constexpr auto operator<=>(const UnitKey&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const UnitKey& key) {
    return H::combine(std::move(h), key.layer, key.unit);
  }
};

/// The routed experts of a model, as far as placement needs to know them. Immutable value.
struct ExpertTopology {
  std::vector<base::LayerId> moe_layers;  ///< Layers with routed experts, ascending.
  std::uint32_t experts_per_layer = 0;
  std::uint32_t unit_size = 0;   ///< Experts per unit; a layer's last unit may hold fewer.
  std::uint64_t unit_bytes = 0;  ///< Bytes one full unit takes in a shard's memory at most.

  bool operator==(const ExpertTopology&) const = default;

  std::uint32_t units_per_layer() const {
    return unit_size == 0 ? 0 : (experts_per_layer + unit_size - 1) / unit_size;
  }
  std::uint32_t units_total() const {
    return static_cast<std::uint32_t>(moe_layers.size()) * units_per_layer();
  }
  base::UnitId UnitOf(base::ExpertId expert) const {
    return base::UnitId(expert.value() / unit_size);
  }
  /// Position of `layer` in moe_layers; nullopt for a dense or unknown layer.
  std::optional<std::uint32_t> LayerIndex(base::LayerId layer) const;
  /// Units are also numbered through, layer by layer: number → unit and back.
  /// Requires: the number is below units_total(); the unit exists.
  UnitKey KeyOf(std::uint32_t number) const;
  std::uint32_t NumberOf(const UnitKey& key) const;
};

/// Checks bounds (at most 4096 layers, 65536 experts a layer, sizes not 0) and the order of layers.
/// Errors: InvalidArgument naming the field.
absl::StatusOr<ExpertTopology> TopologyFromProto(const v1::ExpertTopology& proto);
v1::ExpertTopology TopologyToProto(const ExpertTopology& topology);

/// Reads the compact form used by reports and load requests, in its order; a unit named again is
/// left out. Errors: InvalidArgument naming a layer or unit `topology` does not have.
absl::StatusOr<std::vector<UnitKey>> UnitsFromProto(
    const google::protobuf::RepeatedPtrField<v1::LayerUnits>& proto,
    const ExpertTopology& topology);
/// Inverse of UnitsFromProto: keeps the order, most compact when `units` are sorted.
void UnitsToProto(const std::vector<UnitKey>& units,
                  google::protobuf::RepeatedPtrField<v1::LayerUnits>& proto);

base::PlacementEpoch EpochFromProto(const v1::Epoch& proto);
v1::Epoch EpochToProto(base::PlacementEpoch epoch);

}  // namespace moesaic::placement
