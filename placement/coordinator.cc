#include "placement/coordinator.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "placement/alike_speeds.h"
#include "placement/emergency_cover.h"

namespace moesaic::placement {
namespace {

/// Speeds of equal machines differ by such factors: as measured in a tenth of a second when several
/// processes of a machine start at once, and as averaged over hundreds of batches.
constexpr double kCalibratedTolerance = 2;
constexpr double kServedTolerance = 1.25;

/// What it holds or is about to load: what is on its way counts as there, or a load in progress
/// would be turned around.
std::vector<std::uint32_t> HeldOrComing(const Member& member, const WantedPlacement& wanted) {
  std::vector<std::uint32_t> units;
  const std::vector<std::uint32_t>& assigned = wanted.UnitsOf(member.id);
  std::set_union(member.held.begin(), member.held.end(), assigned.begin(), assigned.end(),
                 std::back_inserter(units));
  return units;
}

}  // namespace

Coordinator::Coordinator(CoordinatorPolicy policy, ShardControl& control, const base::Clock& clock)
    : policy_(policy),
      clock_(clock),
      started_(clock.Monotonic()),
      guard_(policy.lease, started_),
      membership_(policy.lease),
      loads_(policy.load_time_constant),
      moves_(policy.moves, control, membership_, clock,
             [this](const absl::Status& status, const Member& member) { OnMoved(status, member); }),
      cluster_load_(started_),
      rebalance_at_(started_ + policy.rebalance_interval) {}

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
  moves_.OnRegistered(registered.id);
  assignment_due_ =
      now + (assigned_once_ && guard_.MayRemove() ? policy_.settle_newcomers : policy_.settle);
  Outrank(theirs);
  SendDirective(*membership_.Find(registered.id));
  Advance();
  return absl::OkStatus();
}

void Coordinator::StartOver() {
  const std::uint32_t units = membership_.topology().units_total();
  wanted_.Reset(units);
  assigned_loads_.clear();
  loads_.Reset(units);
  moves_.Reset();
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
  const bool says_units = news.held.has_value();
  MOESAIC_ASSIGN_OR_RETURN(const bool changed, membership_.Report(now, session, std::move(news)));
  if (member->draining != was_draining) assignment_due_ = now;
  if (says_units) moves_.OnReported(member->id);
  Outrank(theirs);
  if (changed) Advance();
  return absl::OkStatus();
}

void Coordinator::RemoveShard(SessionId session) {
  membership_.Disconnect(clock_.Monotonic(), session);
  shard_links_.erase(session);
}

absl::Status Coordinator::AddRouter(SessionId session, std::string name, ModelIdentity model,
                                    base::PlacementEpoch acknowledged, RouterLink link,
                                    RouterDescription description) {
  if (name.empty()) return absl::InvalidArgumentError("a router has no name");
  if (membership_.model()) {
    MOESAIC_RETURN_IF_ERROR(CheckSameModel(*membership_.model(), model));
  }
  base::LogInfo("router ", name, " follows placements");
  Router& router = routers_[session];
  router = {.name = std::move(name),
            .model = std::move(model),
            .acknowledged = acknowledged,
            .link = std::move(link),
            .description = std::move(description)};
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

absl::Status Coordinator::TakeLoad(SessionId session, const v1::LoadReport& report) {
  const auto router = routers_.find(session);
  if (router == routers_.end() || !membership_.model()) return absl::OkStatus();
  MOESAIC_ASSIGN_OR_RETURN(LoadReport load, LoadReportFromProto(report, membership_.topology()));
  const absl::Duration now = clock_.Monotonic();
  const auto layers = static_cast<std::uint32_t>(membership_.topology().moe_layers.size());
  const bool was_known = loads_.Known(layers);
  loads_.Add(now, load);
  cluster_load_.Add(now, session, load.router);
  watch_.OnRouterLoad(router->second.name, load.router);
  router->second.busy_seconds_total += load.router.busy_seconds;
  router->second.load = std::move(load.router);
  // What was assigned without loads, as after a restart, does not know which replicas are hot.
  if (assigned_once_ && !was_known && loads_.Known(layers)) assignment_due_ = now;
  return absl::OkStatus();
}

void Coordinator::RemoveRouter(SessionId session) {
  routers_.erase(session);
  cluster_load_.Remove(session);
}

void Coordinator::Outrank(base::PlacementEpoch theirs) {
  if (theirs <= epoch_) return;
  base::LogInfo("epoch ", theirs.term, ".", theirs.version, " was seen elsewhere; term ",
                theirs.term + 1, " begins");
  epoch_ = {.term = theirs.term + 1, .version = 0};
  if (published_ != nullptr) Publish(MakeParts(), clock_.Monotonic());
}

absl::StatusOr<const Member*> Coordinator::Evacuate(const std::string& shard, bool evacuate) {
  const Member* const member = membership_.FindName(shard);
  if (member == nullptr || member->state == Member::State::kExpired) {
    return absl::NotFoundError(absl::StrCat("there is no shard ", shard));
  }
  if (member->evacuating != evacuate) {
    membership_.SetEvacuating(member->id, evacuate);
    const absl::Duration now = clock_.Monotonic();
    events_.Add(now, EventLog::Kind::kDecision,
                absl::StrCat("shard ", shard,
                             evacuate ? " is evacuated: asked for by an operator"
                                      : " is given units again: asked for by an operator"));
    SendDirective(*member);
    assignment_due_ = now;
    Advance();
  }
  return member;
}

void Coordinator::Expect(std::uint32_t shards) {
  if (policy_.expect_shards == shards) return;
  events_.Add(clock_.Monotonic(), EventLog::Kind::kDecision,
              absl::StrCat(shards, " shards are wanted, ", policy_.expect_shards,
                           " were: asked for by an operator"));
  policy_.expect_shards = shards;
  Advance();
}

void Coordinator::Advance() {
  const absl::Duration now = clock_.Monotonic();
  if (guard_.Tick(now)) membership_.Forgive(now);
  ExpireLeases(now);
  Watch(now);
  if (AssignmentDue(now)) {
    Assign(now, counts_.rebalances_by_membership);
  } else if (RebalanceDue(now)) {
    Assign(now, counts_.rebalances_by_load);
  }
  if (!assigned_once_) return;
  CoverLostUnits(now);
  PublishIfChanged(now);
  StartMoves();
}

void Coordinator::Watch(absl::Duration now) {
  std::map<SessionId, std::string> routers;
  for (const auto& [session, router] : routers_) routers.emplace(session, router.name);
  watch_.Look(now,
              {.membership = membership_,
               .wanted = wanted_,
               .moves = moves_,
               .routers = routers,
               .frozen = guard_.frozen()},
              events_);
  cluster_load_.Tick(now);
}

bool Coordinator::AtWanted() const {
  return std::all_of(
      membership_.members().begin(), membership_.members().end(), [&](const auto& entry) {
        const Member& member = entry.second;
        return !Placeable(member, clock_.Monotonic()) || member.held == wanted_.UnitsOf(member.id);
      });
}

void Coordinator::ExpireLeases(absl::Duration now) {
  const bool was_frozen = guard_.frozen();
  const bool frozen = guard_.Freeze(membership_.silent(now), membership_.present());
  if (frozen != was_frozen) assignment_due_ = now;
  if (frozen) return;
  if (was_frozen) membership_.Forgive(now);  // the others are about to be heard, too
  for (const Membership::Expiry& expired : membership_.Expire(now)) {
    ++counts_.shards_lost;
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

bool Coordinator::RebalanceDue(absl::Duration now) const {
  return assigned_once_ && policy_.rebalance_interval > absl::ZeroDuration() &&
         now >= rebalance_at_ && moves_.in_flight() == 0 && guard_.MayRemove();
}

bool Coordinator::Placeable(const Member& member, absl::Duration now) const {
  return member.state != Member::State::kExpired && !member.draining && !member.evacuating &&
         !membership_.IsSilent(member, now);
}

PlacementProblem Coordinator::MakeProblem() const {
  const ExpertTopology& topology = membership_.topology();
  const auto layers = static_cast<std::uint32_t>(topology.moe_layers.size());
  PlacementProblem problem{.layers = layers,
                           .units_per_layer = topology.units_per_layer(),
                           .unit_bytes = topology.unit_bytes,
                           .replicas = policy_.replicas,
                           .shards = {},
                           .loads = loads_.Loads(layers),
                           .layer_numbers = {}};
  for (const base::LayerId layer : topology.moe_layers) {
    problem.layer_numbers.push_back(layer.value());
  }
  std::vector<double> tolerances;
  for (const auto& [id, member] : membership_.members()) {
    if (!Placeable(member, clock_.Monotonic())) continue;
    tolerances.push_back(member.speed_served ? kServedTolerance : kCalibratedTolerance);
    problem.shards.push_back({.id = id,
                              .node = member.description.node,
                              .zone = member.description.zone,
                              .memory_bytes = member.description.memory_bytes,
                              .us_per_row = member.us_per_row,
                              .us_per_expert = member.us_per_expert,
                              .held = HeldOrComing(member, wanted_)});
  }
  TakeAlikeAsEqual(tolerances, problem.shards);
  return problem;
}

absl::StatusOr<Coordinator::Plan> Coordinator::MakePlan() const {
  if (!membership_.model()) return absl::FailedPreconditionError("no shard has registered yet");
  Plan plan{.problem = MakeProblem(), .decision = {}};
  plan.decision = Place(policy_.placement, plan.problem, policy_.balance);
  return plan;
}

void Coordinator::Assign(absl::Duration now, std::uint64_t& count) {
  assignment_due_.reset();
  rebalance_at_ = now + policy_.rebalance_interval;
  absl::StatusOr<Plan> plan = MakePlan();
  if (!plan.ok()) return;
  assigned_once_ = true;
  for (const auto& [id, member] : membership_.members()) {
    if (!Placeable(member, now)) wanted_.Set(id, {});
  }
  bool changed = false;
  for (std::size_t i = 0; i < plan->problem.shards.size(); ++i) {
    const base::ShardId id = plan->problem.shards[i].id;
    std::vector<std::uint32_t>& units = plan->decision.units_of_shard[i];
    if (units == wanted_.UnitsOf(id)) continue;
    changed = true;
    events_.Add(now, EventLog::Kind::kDecision,
                absl::StrCat("shard ", membership_.Find(id)->description.name, " is to hold ",
                             units.size(), " of ", plan->problem.units(), " units (",
                             wanted_.UnitsOf(id).size(), " before)"));
    wanted_.Set(id, std::move(units));
  }
  if (changed) ++count;
  for (std::string& reason : plan->decision.reasons) {
    changed ? events_.Add(now, EventLog::Kind::kDecision, std::move(reason))
            : events_.Refresh(now, std::move(reason));
  }
  if (plan->decision.warnings != warnings_) {
    for (const std::string& warning : plan->decision.warnings) {
      base::LogWarning("placement: ", warning);
    }
  }
  warnings_ = std::move(plan->decision.warnings);
  shortfall_ = plan->decision.shortfall;
  assigned_loads_ = std::move(plan->problem.loads);
}

void Coordinator::Rebalance() {
  Assign(clock_.Monotonic(), counts_.rebalances_by_request);
  Advance();
}

void Coordinator::CoverLostUnits(absl::Duration now) {
  std::set<std::uint32_t> broken_off;
  for (const auto& [id, member] : membership_.members()) {
    if (member.state == Member::State::kSuspect &&
        now - member.suspect_since >= policy_.emergency_after) {
      broken_off.insert(member.held.begin(), member.held.end());
    }
  }
  if (broken_off.empty()) return;
  CoverProblem problem{
      .live = {}, .live_copies = std::vector<std::uint32_t>(wanted_.units(), 0), .lost = {}};
  for (const auto& [id, member] : membership_.members()) {
    if (member.state != Member::State::kLive || member.draining) continue;
    const std::vector<std::uint32_t> units = HeldOrComing(member, wanted_);
    for (const std::uint32_t unit : units) ++problem.live_copies[unit];
    if (!Placeable(member, now)) continue;
    const std::uint64_t fits = member.description.memory_bytes / membership_.topology().unit_bytes;
    const std::uint64_t room = fits - std::min<std::uint64_t>(fits, units.size());
    problem.live.push_back({id, static_cast<std::uint32_t>(room), units});
  }
  for (const std::uint32_t unit : broken_off) {
    if (problem.live_copies[unit] == 0) problem.lost.push_back(unit);
  }
  const std::vector<Cover> covers = CoverLost(std::move(problem));
  if (!covers.empty()) ++counts_.rebalances_by_emergency;
  for (const Cover& cover : covers) {
    const UnitKey key = membership_.topology().KeyOf(cover.unit);
    events_.Add(
        now, EventLog::Kind::kDecision,
        absl::StrCat("layer ", key.layer.value(), " unit ", key.unit.value(),
                     " is loaded on shard ", membership_.Find(cover.shard)->description.name,
                     ": the last shard that held it broke off"));
    wanted_.Add(cover.shard, cover.unit);
    if (cover.evicted) wanted_.Remove(cover.shard, *cover.evicted);
  }
}

void Coordinator::StartMoves() {
  moves_.Start({.membership = membership_,
                .wanted = wanted_,
                .published = published_.get(),
                .loads = assigned_loads_,
                .epoch = epoch_,
                .replicas = policy_.replicas,
                // A coordinator that has just started may not know every router and shard yet.
                .may_unload = guard_.MayRemove() && AllRoutersCaughtUp()});
}

void Coordinator::OnMoved(const absl::Status& status, const Member& member) {
  if (absl::IsFailedPrecondition(status) && member.session != 0) {
    // It has heard of a higher term. Its next registration says which, and we go above it.
    EndShard(member.session, absl::AbortedError("register again: our term is outdated"));
  }
  Advance();
}

void Coordinator::SendDirective(const Member& member) const {
  const auto link = shard_links_.find(member.session);
  if (link == shard_links_.end()) return;
  link->second.send({.shard = member.id,
                     .lease = policy_.lease,
                     .heartbeat = policy_.heartbeat,
                     .epoch = epoch_,
                     .evacuate = member.evacuating});
}

void Coordinator::EndShard(SessionId session, absl::Status status) {
  const auto link = shard_links_.find(session);
  if (link == shard_links_.end()) return;
  const ShardLink ended = std::move(link->second);
  shard_links_.erase(link);
  membership_.Disconnect(clock_.Monotonic(), session);
  ended.end(std::move(status));
}

}  // namespace moesaic::placement
