#include "placement/coordinator.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace moesaic::placement {
namespace {

/// While shards load, a placement is published at most this often: each lists every unit.
constexpr absl::Duration kPublishInterval = absl::Milliseconds(250);
/// Waits between attempts at a load that failed.
constexpr absl::Duration kFirstMoveBackoff = absl::Seconds(1);
constexpr absl::Duration kMaxMoveBackoff = absl::Seconds(30);

std::vector<std::uint32_t> Difference(const std::vector<std::uint32_t>& from,
                                      const std::vector<std::uint32_t>& without) {
  std::vector<std::uint32_t> result;
  std::set_difference(from.begin(), from.end(), without.begin(), without.end(),
                      std::back_inserter(result));
  return result;
}

}  // namespace

Coordinator::Coordinator(CoordinatorPolicy policy, ShardControl& control, const base::Clock& clock)
    : policy_(policy),
      control_(control),
      clock_(clock),
      started_(clock.Monotonic()),
      guard_(policy.lease, started_),
      membership_(policy.lease) {}

absl::Status Coordinator::AddShard(SessionId session, ShardDescription description, ShardNews news,
                                   ShardLink link) {
  const absl::Duration now = clock_.Monotonic();
  const base::PlacementEpoch theirs = news.epoch;
  const std::string name = description.name;
  const std::optional<ModelIdentity> model_before = membership_.model();
  MOESAIC_ASSIGN_OR_RETURN(
      const Membership::Registered registered,
      membership_.Register(now, session, std::move(description), std::move(news)));
  if (registered.replaced != 0) {
    EndShard(registered.replaced, absl::AbortedError("another process has taken this name"));
  }
  if (membership_.model() != model_before) StartOver();
  base::LogInfo("shard ", name, " registered as number ", registered.id.value());
  shard_links_[session] = std::move(link);
  progress_[registered.id].retry_at = -absl::InfiniteDuration();
  assignment_due_ = now + policy_.settle;
  Outrank(theirs);
  SendDirective(*membership_.Find(registered.id));
  Advance();
  return absl::OkStatus();
}

void Coordinator::StartOver() {
  progress_.clear();
  wanted_holders_.clear();
  warnings_.clear();
  published_ = nullptr;
  assigned_once_ = false;
  for (auto router = routers_.begin(); router != routers_.end();) {
    const absl::Status same = CheckSameModel(*membership_.model(), router->second.model);
    if (!same.ok()) router->second.link.end(same);
    router = same.ok() ? std::next(router) : routers_.erase(router);
  }
}

absl::Status Coordinator::Report(SessionId session, ShardNews news) {
  const absl::Duration now = clock_.Monotonic();
  const Member* member = membership_.FindSession(session);
  if (member == nullptr) return absl::OkStatus();
  const bool was_draining = member->draining;
  const base::PlacementEpoch theirs = news.epoch;
  MOESAIC_ASSIGN_OR_RETURN(const bool changed, membership_.Report(now, session, std::move(news)));
  if (member->draining != was_draining) assignment_due_ = now;
  Outrank(theirs);
  if (changed) Advance();
  return absl::OkStatus();
}

void Coordinator::RemoveShard(SessionId session) {
  membership_.Disconnect(session);
  shard_links_.erase(session);
}

absl::Status Coordinator::AddRouter(SessionId session, std::string name, ModelIdentity model,
                                    base::PlacementEpoch acknowledged, RouterLink link) {
  if (name.empty()) return absl::InvalidArgumentError("a router has no name");
  if (membership_.model()) {
    MOESAIC_RETURN_IF_ERROR(CheckSameModel(*membership_.model(), model));
  }
  base::LogInfo("router ", name, " follows placements");
  Router& router = routers_[session];
  router = {.name = std::move(name),
            .model = std::move(model),
            .acknowledged = acknowledged,
            .link = std::move(link)};
  Outrank(acknowledged);
  if (published_ != nullptr) router.link.send(published_);
  return absl::OkStatus();
}

void Coordinator::Acknowledge(SessionId session, base::PlacementEpoch epoch) {
  const auto router = routers_.find(session);
  if (router == routers_.end()) return;
  router->second.acknowledged = epoch;
  Outrank(epoch);
  Advance();
}

void Coordinator::RemoveRouter(SessionId session) { routers_.erase(session); }

void Coordinator::Outrank(base::PlacementEpoch theirs) {
  if (theirs <= epoch_) return;
  base::LogInfo("epoch ", theirs.term, ".", theirs.version, " was seen elsewhere; term ",
                theirs.term + 1, " begins");
  epoch_ = {.term = theirs.term + 1, .version = 0};
  if (published_ != nullptr) Publish(MakeParts(), clock_.Monotonic());
}

void Coordinator::Advance() {
  const absl::Duration now = clock_.Monotonic();
  if (guard_.Tick(now)) membership_.Forgive(now);
  ExpireLeases(now);
  if (AssignmentDue(now)) Assign();
  if (!assigned_once_) return;
  PublishIfChanged(now);
  StartMoves(now);
}

void Coordinator::ExpireLeases(absl::Duration now) {
  const bool was_frozen = guard_.frozen();
  const bool frozen = guard_.Freeze(membership_.silent(now), membership_.present());
  if (frozen != was_frozen) assignment_due_ = now;
  if (frozen) return;
  for (const Membership::Expiry& expired : membership_.Expire(now)) {
    base::LogWarning("shard ", membership_.Find(expired.id)->description.name,
                     " was silent for a lease and has left");
    if (expired.session != 0) {
      EndShard(expired.session, absl::DeadlineExceededError("no heartbeat for a lease"));
    }
    assignment_due_ = now;
  }
}

bool Coordinator::AssignmentDue(absl::Duration now) const {
  if (!assignment_due_ || !membership_.model()) return false;
  if (assigned_once_ || policy_.expect_shards == 0) return now >= *assignment_due_;
  return membership_.present() >= policy_.expect_shards || now - started_ >= policy_.expect_timeout;
}

void Coordinator::Assign() {
  assignment_due_.reset();
  assigned_once_ = true;
  const ExpertTopology& topology = membership_.topology();
  PlacementProblem problem{.layers = static_cast<std::uint32_t>(topology.moe_layers.size()),
                           .units_per_layer = topology.units_per_layer(),
                           .unit_bytes = topology.unit_bytes,
                           .replicas = policy_.replicas,
                           .shards = {}};
  for (const auto& [id, member] : membership_.members()) {
    if (member.state == Member::State::kExpired || member.draining ||
        membership_.IsSilent(member, clock_.Monotonic())) {
      continue;
    }
    // What is on its way counts as there, or a load in progress would be turned around.
    std::vector<std::uint32_t> held;
    const std::vector<std::uint32_t>& assigned = AssignedTo(id);
    std::set_union(member.held.begin(), member.held.end(), assigned.begin(), assigned.end(),
                   std::back_inserter(held));
    problem.shards.push_back({.id = id,
                              .node = member.description.node,
                              .zone = member.description.zone,
                              .memory_bytes = member.description.memory_bytes,
                              .held = std::move(held)});
  }
  PlacementDecision decision = PlaceByPredictedTime(problem);
  for (auto& [id, progress] : progress_) progress.assigned.clear();
  wanted_holders_.assign(topology.units_total(), {});
  for (std::size_t i = 0; i < problem.shards.size(); ++i) {
    const base::ShardId id = problem.shards[i].id;
    for (const std::uint32_t unit : decision.units_of_shard[i]) {
      wanted_holders_[unit].push_back(id);
    }
    base::LogInfo("shard ", membership_.Find(id)->description.name, " is to hold ",
                  decision.units_of_shard[i].size(), " of ", problem.units(), " units");
    progress_[id].assigned = std::move(decision.units_of_shard[i]);
  }
  warnings_ = std::move(decision.warnings);
  for (const std::string& warning : warnings_) base::LogWarning("placement: ", warning);
}

void Coordinator::StartMoves(absl::Duration now) {
  for (const auto& [id, member] : membership_.members()) {
    if (moves_in_flight_ >= policy_.parallel_moves) return;
    Progress& progress = progress_[id];
    if (member.state != Member::State::kLive || member.draining || progress.busy ||
        now < progress.retry_at) {
      continue;
    }
    if (StartLoad(member, progress) || StartUnload(member, progress)) {
      progress.busy = true;
      ++moves_in_flight_;
    }
  }
}

bool Coordinator::StartLoad(const Member& member, Progress& progress) {
  std::vector<std::uint32_t> missing = Difference(progress.assigned, member.held);
  const std::uint64_t fits = member.description.memory_bytes / membership_.topology().unit_bytes;
  const std::uint64_t room = fits - std::min<std::uint64_t>(fits, member.held.size());
  if (missing.size() > room) missing.resize(room);
  if (missing.empty()) return false;
  control_.Load(member.description.address, epoch_, KeysOf(missing),
                [this, id = member.id, incarnation = member.description.incarnation](
                    absl::Status status) { Moved(id, incarnation, std::move(status)); });
  return true;
}

bool Coordinator::StartUnload(const Member& member, Progress& progress) {
  // A coordinator that has just started may not know every router and shard yet.
  if (!guard_.MayRemove() || !AllRoutersCaughtUp()) return false;
  std::vector<std::uint32_t> surplus = Difference(member.held, progress.assigned);
  std::erase_if(surplus, [&](std::uint32_t unit) {
    const UnitKey key = membership_.topology().KeyOf(unit);
    const auto published = published_->Holders(key.layer, key.unit);
    return !Settled(unit) ||
           std::find(published.begin(), published.end(), member.id) != published.end();
  });
  if (surplus.empty()) return false;
  control_.Unload(member.description.address, epoch_, KeysOf(surplus),
                  [this, id = member.id, incarnation = member.description.incarnation](
                      absl::Status status) { Moved(id, incarnation, std::move(status)); });
  return true;
}

void Coordinator::Moved(base::ShardId shard, std::uint64_t incarnation, absl::Status status) {
  --moves_in_flight_;
  const absl::Duration now = clock_.Monotonic();
  Progress& progress = progress_[shard];
  progress.busy = false;
  const Member* member = membership_.Find(shard);
  if (member == nullptr || member->description.incarnation != incarnation) return Advance();
  if (status.ok()) {
    progress.problem.clear();
    progress.backoff = absl::ZeroDuration();
    // Its report of what it holds now is on the way.
    progress.retry_at = now + policy_.heartbeat;
  } else {
    progress.problem = std::string(status.message());
    progress.backoff = std::clamp(progress.backoff * 2, kFirstMoveBackoff, kMaxMoveBackoff);
    progress.retry_at = now + progress.backoff;
    base::LogWarning("shard ", member->description.name, ": ", status.ToString());
    if (absl::IsFailedPrecondition(status) && member->session != 0) {
      // It has heard of a higher term. Its next registration says which, and we go above it.
      EndShard(member->session, absl::AbortedError("register again: our term is outdated"));
    }
  }
  Advance();
}

bool Coordinator::Holds(const Member& member, std::uint32_t unit) const {
  return std::binary_search(member.held.begin(), member.held.end(), unit);
}

bool Coordinator::Settled(std::uint32_t unit) const {
  const std::vector<base::ShardId>& wanted = wanted_holders_[unit];
  return !wanted.empty() && std::all_of(wanted.begin(), wanted.end(), [&](base::ShardId id) {
    return Holds(*membership_.Find(id), unit);
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
                            .draining = member.draining});
    for (const std::uint32_t unit : member.held) parts.holders[unit].push_back(id);
  }
  for (std::uint32_t unit = 0; unit < wanted_holders_.size(); ++unit) {
    if (guard_.MayRemove() && Settled(unit)) parts.holders[unit] = wanted_holders_[unit];
  }
  return parts;
}

void Coordinator::PublishIfChanged(absl::Duration now) {
  if (moves_in_flight_ > 0 && now - published_at_ < kPublishInterval) return;
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

void Coordinator::SendDirective(const Member& member) const {
  const auto link = shard_links_.find(member.session);
  if (link == shard_links_.end()) return;
  link->second.send({.shard = member.id,
                     .lease = policy_.lease,
                     .heartbeat = policy_.heartbeat,
                     .epoch = epoch_});
}

void Coordinator::EndShard(SessionId session, absl::Status status) {
  const auto link = shard_links_.find(session);
  if (link == shard_links_.end()) return;
  const ShardLink ended = std::move(link->second);
  shard_links_.erase(link);
  membership_.Disconnect(session);
  ended.end(std::move(status));
}

const std::vector<std::uint32_t>& Coordinator::AssignedTo(base::ShardId shard) const {
  static const std::vector<std::uint32_t> none;
  const auto progress = progress_.find(shard);
  return progress == progress_.end() ? none : progress->second.assigned;
}

const std::string& Coordinator::ProblemOf(base::ShardId shard) const {
  static const std::string none;
  const auto progress = progress_.find(shard);
  return progress == progress_.end() ? none : progress->second.problem;
}

std::vector<UnitKey> Coordinator::KeysOf(const std::vector<std::uint32_t>& units) const {
  std::vector<UnitKey> keys;
  for (const std::uint32_t unit : units) keys.push_back(membership_.topology().KeyOf(unit));
  return keys;
}

}  // namespace moesaic::placement
