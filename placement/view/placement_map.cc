#include "placement/view/placement_map.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "placement/view/node_share_proto.h"

namespace moesaic::placement {
namespace {

constexpr std::size_t kMaxShards = 65536;

bool IdBelow(const ShardInfo& shard, base::ShardId id) { return shard.id < id; }

const ShardInfo* Find(const std::vector<ShardInfo>& shards, base::ShardId id) {
  const auto found = std::lower_bound(shards.begin(), shards.end(), id, IdBelow);
  return found == shards.end() || found->id != id ? nullptr : &*found;
}

absl::Status CheckShards(const std::vector<ShardInfo>& shards) {
  if (shards.size() > kMaxShards) {
    return absl::InvalidArgumentError(
        absl::StrCat("placement: ", shards.size(), " shards; at most ", kMaxShards));
  }
  for (std::size_t i = 0; i < shards.size(); ++i) {
    if (i > 0 && shards[i].id <= shards[i - 1].id) {
      return absl::InvalidArgumentError(
          absl::StrCat("placement: shard ids not ascending at ", shards[i].id.value()));
    }
    if (shards[i].name.empty() || shards[i].address.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("placement: shard ", shards[i].id.value(), " lacks a name or an address"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckHolders(const PlacementMap::Parts& parts) {
  if (parts.holders.size() != parts.topology.units_total()) {
    return absl::InvalidArgumentError(absl::StrCat("placement: holders of ", parts.holders.size(),
                                                   " units; the model has ",
                                                   parts.topology.units_total()));
  }
  for (std::size_t unit = 0; unit < parts.holders.size(); ++unit) {
    const std::vector<base::ShardId>& holders = parts.holders[unit];
    for (std::size_t i = 0; i < holders.size(); ++i) {
      if (Find(parts.shards, holders[i]) == nullptr) {
        return absl::InvalidArgumentError(absl::StrCat(
            "placement: unit ", unit, " is held by unknown shard ", holders[i].value()));
      }
      if (i > 0 && holders[i] <= holders[i - 1]) {
        return absl::InvalidArgumentError(
            absl::StrCat("placement: holders of unit ", unit, " are not ascending"));
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<ShardInfo> ShardFromProto(const v1::PlacedShard& proto) {
  ShardInfo shard{.id = base::ShardId(proto.shard_id()),
                  .name = proto.shard(),
                  .address = proto.address(),
                  .node = proto.node(),
                  .zone = proto.zone(),
                  .incarnation = proto.incarnation(),
                  .us_per_row = proto.us_per_row(),
                  .us_per_expert = proto.us_per_expert(),
                  .draining = proto.draining()};
  MOESAIC_ASSIGN_OR_RETURN(shard.node_share, NodeShareFromProto(proto));
  return shard;
}

/// Units must come complete and in order, so the n-th entry is the n-th unit.
absl::Status TakeUnits(const v1::Placement& proto, PlacementMap::Parts& parts) {
  const std::uint32_t total = parts.topology.units_total();
  if (static_cast<std::uint32_t>(proto.units_size()) != total) {
    return absl::InvalidArgumentError(
        absl::StrCat("placement: lists ", proto.units_size(), " units; the model has ", total));
  }
  parts.holders.resize(total);
  for (std::uint32_t i = 0; i < total; ++i) {
    const v1::UnitReplicas& replicas = proto.units(static_cast<int>(i));
    const UnitKey expected = parts.topology.KeyOf(i);
    const UnitKey got{base::LayerId(replicas.unit().layer()), base::UnitId(replicas.unit().unit())};
    if (got != expected) {
      return absl::InvalidArgumentError(
          absl::StrCat("placement: layer ", got.layer.value(), " unit ", got.unit.value(),
                       " is unknown, duplicate or out of order; expected layer ",
                       expected.layer.value(), " unit ", expected.unit.value()));
    }
    for (const std::uint32_t id : replicas.shard_ids()) parts.holders[i].emplace_back(id);
  }
  return absl::OkStatus();
}

}  // namespace

v1::PlacedShard ShardToProto(const ShardInfo& shard) {
  v1::PlacedShard proto;
  proto.set_shard_id(shard.id.value());
  proto.set_shard(shard.name);
  proto.set_address(shard.address);
  proto.set_node(shard.node);
  proto.set_zone(shard.zone);
  proto.set_incarnation(shard.incarnation);
  proto.set_us_per_row(shard.us_per_row);
  proto.set_us_per_expert(shard.us_per_expert);
  proto.set_draining(shard.draining);
  NodeShareToProto(shard.node_share, proto);
  return proto;
}

PlacementMap::PlacementMap(Parts parts) : parts_(std::move(parts)) {
  offsets_.reserve(parts_.holders.size() + 1);
  offsets_.push_back(0);
  for (const std::vector<base::ShardId>& holders : parts_.holders) {
    holders_.insert(holders_.end(), holders.begin(), holders.end());
    offsets_.push_back(static_cast<std::uint32_t>(holders_.size()));
    if (holders.empty()) ++units_uncovered_;
  }
}

absl::StatusOr<std::shared_ptr<const PlacementMap>> PlacementMap::Build(Parts parts) {
  MOESAIC_RETURN_IF_ERROR(CheckShards(parts.shards));
  MOESAIC_RETURN_IF_ERROR(CheckHolders(parts));
  return std::shared_ptr<const PlacementMap>(new PlacementMap(std::move(parts)));
}

absl::StatusOr<std::shared_ptr<const PlacementMap>> PlacementMap::FromProto(
    const v1::Placement& proto) {
  Parts parts;
  parts.epoch = EpochFromProto(proto.epoch());
  parts.model = IdentityFromProto(proto.model());
  parts.replicas_wanted = proto.replicas_wanted();
  MOESAIC_ASSIGN_OR_RETURN(parts.topology, TopologyFromProto(proto.topology()));
  for (const v1::PlacedShard& shard : proto.shards()) {
    MOESAIC_ASSIGN_OR_RETURN(ShardInfo placed, ShardFromProto(shard));
    parts.shards.push_back(std::move(placed));
  }
  MOESAIC_RETURN_IF_ERROR(TakeUnits(proto, parts));
  return Build(std::move(parts));
}

v1::Placement PlacementMap::ToProto() const {
  v1::Placement proto;
  *proto.mutable_epoch() = EpochToProto(parts_.epoch);
  *proto.mutable_model() = IdentityToProto(parts_.model);
  *proto.mutable_topology() = TopologyToProto(parts_.topology);
  proto.set_replicas_wanted(parts_.replicas_wanted);
  for (const ShardInfo& shard : parts_.shards) *proto.add_shards() = ShardToProto(shard);
  for (const base::LayerId layer : parts_.topology.moe_layers) {
    for (std::uint32_t unit = 0; unit < parts_.topology.units_per_layer(); ++unit) {
      v1::UnitReplicas* replicas = proto.add_units();
      replicas->mutable_unit()->set_layer(layer.value());
      replicas->mutable_unit()->set_unit(unit);
      for (const base::ShardId id : Holders(layer, base::UnitId(unit))) {
        replicas->add_shard_ids(id.value());
      }
    }
  }
  return proto;
}

absl::Span<const base::ShardId> PlacementMap::Holders(base::LayerId layer,
                                                      base::UnitId unit) const {
  const std::uint32_t per_layer = parts_.topology.units_per_layer();
  const auto layer_index = parts_.topology.LayerIndex(layer);
  if (!layer_index || unit.value() >= per_layer) return {};
  const std::uint32_t index = *layer_index * per_layer + unit.value();
  return absl::MakeConstSpan(holders_).subspan(offsets_[index],
                                               offsets_[index + 1] - offsets_[index]);
}

const ShardInfo* PlacementMap::FindShard(base::ShardId id) const { return Find(parts_.shards, id); }

bool PlacementMap::SameContent(const Parts& parts) const {
  return parts_.model == parts.model && parts_.topology == parts.topology &&
         parts_.shards == parts.shards && parts_.holders == parts.holders &&
         parts_.replicas_wanted == parts.replicas_wanted;
}

}  // namespace moesaic::placement
