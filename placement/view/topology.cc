#include "placement/view/topology.h"

#include <algorithm>
#include <limits>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace moesaic::placement {
namespace {

constexpr int kMaxLayers = 4096;
constexpr std::uint32_t kMaxExpertsPerLayer = 65536;
/// Units of the largest model known (61 layers x 256 experts) stay three orders below this.
constexpr std::uint64_t kMaxUnits = std::uint64_t{1} << 24;

}  // namespace

std::optional<std::uint32_t> ExpertTopology::LayerIndex(base::LayerId layer) const {
  const auto found = std::lower_bound(moe_layers.begin(), moe_layers.end(), layer);
  if (found == moe_layers.end() || *found != layer) return std::nullopt;
  return static_cast<std::uint32_t>(found - moe_layers.begin());
}

UnitKey ExpertTopology::KeyOf(std::uint32_t number) const {
  MOESAIC_CHECK(number < units_total());
  return {moe_layers[number / units_per_layer()], base::UnitId(number % units_per_layer())};
}

std::uint32_t ExpertTopology::NumberOf(const UnitKey& key) const {
  const auto layer = LayerIndex(key.layer);
  MOESAIC_CHECK(layer.has_value() && key.unit.value() < units_per_layer());
  return *layer * units_per_layer() + key.unit.value();
}

absl::StatusOr<ExpertTopology> TopologyFromProto(const v1::ExpertTopology& proto) {
  if (proto.moe_layers_size() == 0 || proto.moe_layers_size() > kMaxLayers) {
    return absl::InvalidArgumentError(
        absl::StrCat("topology: ", proto.moe_layers_size(), " moe_layers; 1 to ", kMaxLayers));
  }
  if (proto.experts_per_layer() == 0 || proto.experts_per_layer() > kMaxExpertsPerLayer) {
    return absl::InvalidArgumentError(absl::StrCat(
        "topology: experts_per_layer ", proto.experts_per_layer(), "; 1 to ", kMaxExpertsPerLayer));
  }
  if (proto.unit_size() == 0 || proto.unit_size() > proto.experts_per_layer()) {
    return absl::InvalidArgumentError(absl::StrCat("topology: unit_size ", proto.unit_size(),
                                                   "; 1 to ", proto.experts_per_layer()));
  }
  if (proto.unit_bytes() == 0) {
    return absl::InvalidArgumentError("topology: unit_bytes is 0");
  }
  ExpertTopology topology{.moe_layers = {},
                          .experts_per_layer = proto.experts_per_layer(),
                          .unit_size = proto.unit_size(),
                          .unit_bytes = proto.unit_bytes()};
  topology.moe_layers.reserve(static_cast<std::size_t>(proto.moe_layers_size()));
  for (const std::uint32_t layer : proto.moe_layers()) {
    if (!topology.moe_layers.empty() && layer <= topology.moe_layers.back().value()) {
      return absl::InvalidArgumentError(
          absl::StrCat("topology: moe_layers not ascending at ", layer));
    }
    topology.moe_layers.emplace_back(layer);
  }
  const std::uint64_t units = std::uint64_t{topology.units_per_layer()} * proto.moe_layers_size();
  if (units > kMaxUnits ||
      topology.unit_bytes > std::numeric_limits<std::uint64_t>::max() / units) {
    return absl::InvalidArgumentError(absl::StrCat("topology: ", units, " units of ",
                                                   topology.unit_bytes, " bytes are too many"));
  }
  return topology;
}

v1::ExpertTopology TopologyToProto(const ExpertTopology& topology) {
  v1::ExpertTopology proto;
  for (const base::LayerId layer : topology.moe_layers) proto.add_moe_layers(layer.value());
  proto.set_experts_per_layer(topology.experts_per_layer);
  proto.set_unit_size(topology.unit_size);
  proto.set_unit_bytes(topology.unit_bytes);
  return proto;
}

absl::StatusOr<std::vector<UnitKey>> UnitsFromProto(
    const google::protobuf::RepeatedPtrField<v1::LayerUnits>& proto,
    const ExpertTopology& topology) {
  std::vector<UnitKey> units;
  absl::flat_hash_set<UnitKey> seen;
  for (const v1::LayerUnits& layer_units : proto) {
    const base::LayerId layer(layer_units.layer());
    if (!topology.LayerIndex(layer)) {
      return absl::InvalidArgumentError(
          absl::StrCat("layer ", layer.value(), " has no routed experts"));
    }
    for (const std::uint32_t unit : layer_units.units()) {
      if (unit >= topology.units_per_layer()) {
        return absl::InvalidArgumentError(absl::StrCat("layer ", layer.value(), " has ",
                                                       topology.units_per_layer(),
                                                       " units; got unit ", unit));
      }
      const UnitKey key{layer, base::UnitId(unit)};
      if (seen.insert(key).second) units.push_back(key);
    }
  }
  return units;
}

void UnitsToProto(const std::vector<UnitKey>& units,
                  google::protobuf::RepeatedPtrField<v1::LayerUnits>& proto) {
  v1::LayerUnits* current = nullptr;
  for (const UnitKey& key : units) {
    if (current == nullptr || current->layer() != key.layer.value()) {
      current = proto.Add();
      current->set_layer(key.layer.value());
    }
    current->add_units(key.unit.value());
  }
}

base::PlacementEpoch EpochFromProto(const v1::Epoch& proto) {
  return {.term = proto.term(), .version = proto.version()};
}

v1::Epoch EpochToProto(base::PlacementEpoch epoch) {
  v1::Epoch proto;
  proto.set_term(epoch.term);
  proto.set_version(epoch.version);
  return proto;
}

}  // namespace moesaic::placement
