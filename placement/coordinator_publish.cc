#include <algorithm>
#include <utility>

#include "base/log.h"
#include "placement/coordinator.h"

namespace moesaic::placement {
namespace {

/// While shards load, a placement is published at most this often: each lists every unit.
constexpr absl::Duration kPublishInterval = absl::Milliseconds(250);

bool Holds(const Member& member, std::uint32_t unit) {
  return std::binary_search(member.held.begin(), member.held.end(), unit);
}

}  // namespace

bool Coordinator::Settled(std::uint32_t unit) const {
  const std::vector<base::ShardId>& wanted = wanted_.HoldersOf(unit);
  return !wanted.empty() && std::all_of(wanted.begin(), wanted.end(), [&](base::ShardId id) {
    const Member& member = *membership_.Find(id);
    return member.state == Member::State::kLive && Holds(member, unit);
  });
}

bool Coordinator::AllRoutersCaughtUp() const {
  return published_ != nullptr &&
         std::all_of(routers_.begin(), routers_.end(), [&](const auto& entry) {
           return entry.second.acknowledged == published_->epoch();
         });
}

/// Present holders of every unit; those that are to give it up only until the others have it.
PlacementMap::Parts Coordinator::MakeParts() const {
  const ExpertTopology& topology = membership_.topology();
  PlacementMap::Parts parts{
      .epoch = epoch_,
      .model = *membership_.model(),
      .topology = topology,
      .shards = {},
      .holders = std::vector<std::vector<base::ShardId>>(topology.units_total()),
      .replicas_wanted = policy_.replicas};
  for (const auto& [id, member] : membership_.members()) {
    if (member.state == Member::State::kExpired) continue;
    parts.shards.push_back({.id = id,
                            .name = member.description.name,
                            .address = member.description.address,
                            .node = member.description.node,
                            .zone = member.description.zone,
                            .incarnation = member.description.incarnation,
                            .us_per_row = member.description.us_per_row,
                            .us_per_expert = member.description.us_per_expert,
                            .draining = member.draining,
                            .node_share = member.description.node_share});
    for (const std::uint32_t unit : member.held) parts.holders[unit].push_back(id);
  }
  if (guard_.MayRemove()) LeaveOutLeaving(parts);
  return parts;
}

void Coordinator::LeaveOutLeaving(PlacementMap::Parts& parts) const {
  for (std::uint32_t unit = 0; unit < wanted_.units(); ++unit) {
    if (Settled(unit)) parts.holders[unit] = wanted_.HoldersOf(unit);
  }
  // Shards whose memory is full of what they are to give up can take nothing new: of that they may
  // let go early what another live shard holds as well.
  for (const auto& [id, member] : membership_.members()) {
    const std::uint64_t fits = member.description.memory_bytes / membership_.topology().unit_bytes;
    const std::vector<std::uint32_t>& assigned = wanted_.UnitsOf(id);
    std::size_t lacking = UnitDifference(assigned, member.held).size();
    if (member.held.size() < fits || lacking == 0) continue;
    for (const std::uint32_t unit : UnitDifference(member.held, assigned)) {
      std::vector<base::ShardId>& holders = parts.holders[unit];
      const auto others =
          std::count_if(holders.begin(), holders.end(), [&, id = id](base::ShardId other) {
            return other != id && membership_.Find(other)->state == Member::State::kLive;
          });
      if (others == 0 || lacking == 0) continue;
      lacking -= std::erase(holders, id);
    }
  }
}

void Coordinator::PublishIfChanged(absl::Duration now) {
  if (moves_.in_flight() > 0 && now - published_at_ < kPublishInterval) return;
  PlacementMap::Parts parts = MakeParts();
  if (published_ != nullptr && published_->SameContent(parts)) return;
  Publish(std::move(parts), now);
}

void Coordinator::Publish(PlacementMap::Parts parts, absl::Duration now) {
  ++epoch_.version;
  parts.epoch = epoch_;
  auto map = PlacementMap::Build(std::move(parts));
  if (!map.ok()) return base::LogError("placement not published: ", map.status().ToString());
  published_ = *std::move(map);
  published_at_ = now;
  base::LogInfo("placement ", epoch_.term, ".", epoch_.version, ": ", published_->units_uncovered(),
                " of ", published_->topology().units_total(), " units without a shard");
  for (auto& [session, router] : routers_) router.link.send(published_);
  for (const auto& [id, member] : membership_.members()) SendDirective(member);
}

}  // namespace moesaic::placement
