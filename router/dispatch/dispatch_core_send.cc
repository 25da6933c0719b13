#include <algorithm>
#include <map>
#include <tuple>

#include "absl/container/inlined_vector.h"
#include "router/dispatch/dispatch_core.h"
#include "router/dispatch/replica_choice.h"

namespace moesaic::router {
namespace {

/// How soon a slot without a usable replica is tried again; a shard that is loading its unit
/// answers `missing_units` until then, so this bounds both the delay and the traffic.
constexpr absl::Duration kRetryInterval = absl::Milliseconds(10);
/// A flow limit that was hit is taken as overload for this long.
constexpr absl::Duration kThrottled = absl::Milliseconds(100);
/// An overdue dispatch makes its silent shard suspect after so many times the time after which it
/// is hedged, and is taken from it after so many; at least the durations beside them, so that a
/// busy machine is not taken for a dead one.
constexpr double kOverduePatience = 4;
constexpr absl::Duration kMinOverdue = absl::Milliseconds(100);
constexpr double kAbandonPatience = 20;
constexpr absl::Duration kMinAbandon = absl::Seconds(2);

/// Tells the step's timeline, where there is one, what became of a dispatch.
void TraceDispatch(const InFlightDispatch& plan, std::string_view ending,
                   const rpc::DispatchReply* reply) {
  StepTimeline* const timeline = plan.call->call().timeline.get();
  if (timeline == nullptr) return;
  DispatchSpan span;
  span.shard = plan.link->info.name;
  span.outcome = ending;
  span.sent = plan.sent_at;
  span.ended = timeline->Now();
  span.layer = plan.call->call().layer.value();
  span.rows = static_cast<std::uint32_t>(plan.tokens.size());
  span.results = static_cast<std::uint32_t>(plan.slots.size());
  span.prefill = plan.lane == rpc::Lane::kPrefill;
  span.hedge = plan.hedge;
  span.retry = plan.retry;
  if (reply != nullptr) {
    span.queue_wait = absl::Microseconds(static_cast<std::int64_t>(reply->queue_wait_us));
    span.compute = absl::Microseconds(static_cast<std::int64_t>(reply->compute_us));
    span.batch_rows = reply->batch_rows;
  }
  timeline->AddDispatch(std::move(span));
}

/// Scatters ids that differ in few bits over all 64 (the finaliser of SplitMix64).
std::uint64_t Mix(std::uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9u;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace

/// What one planning has found out and decided so far.
struct ExpertDispatcher::Impl::Planning {
  struct Candidate {
    std::shared_ptr<ShardLink> link;
    ReplicaStanding standing;
    absl::Duration wait;   // for what was in flight when the planning began
    bool touched = false;  // it gets rows of this unit anyway, and reads its weights once
  };
  using Key = std::tuple<std::uint64_t, rpc::Lane, std::uint32_t>;  // call, lane, unit
  struct Group {
    std::shared_ptr<ExpertCallState> call;
    std::shared_ptr<ShardLink> link;
    std::vector<std::int32_t> slots;
  };

  Purpose purpose;
  absl::Duration now;
  absl::flat_hash_map<Key, absl::InlinedVector<Candidate, 4>> candidates;
  absl::flat_hash_map<base::ShardId, absl::Duration> planned_cost;
  std::map<std::tuple<std::uint64_t, base::ShardId, rpc::Lane>, Group> groups;
};

void ExpertDispatcher::Impl::Compute(const ExpertCall& call, ExpertCallState::Done done) {
  std::vector<Completion> completions;
  Slots slots;
  {
    base::MutexLock lock(mutex_);
    ++stats_.calls;
    auto state = std::make_shared<ExpertCallState>(next_id_++, call, unit_size(), std::move(done));
    const absl::Duration next_deadline =
        call.deadlines.empty() ? absl::InfiniteDuration()
                               : *std::min_element(call.deadlines.begin(), call.deadlines.end());
    calls_[state->id()] = {state, next_deadline};
    load_.Count(*state);
    if (next_deadline <= Now()) FailExpired(Now());
    for (std::int32_t slot = 0; slot < state->slot_count(); ++slot) {
      if (state->IsOpen(slot)) slots.push_back({state, slot});
    }
    Arm(next_deadline);
    CompleteIfDone(state, completions);
  }
  RunCompletions(std::move(completions));
  PlaceAndSend(std::move(slots));
}

void ExpertDispatcher::Impl::PlaceAndSend(Slots slots) {
  // Ends because a shard that could not be sent to is not asked again for the same slot.
  while (!slots.empty()) {
    std::vector<Plan> plans;
    std::vector<Completion> completions;
    {
      base::MutexLock lock(mutex_);
      SkipLost(slots, completions);
      plans = PlanDispatches(std::move(slots), Purpose::kOwn);
    }
    RunCompletions(std::move(completions));
    slots.clear();
    Send(plans, slots);
  }
}

void ExpertDispatcher::Impl::Send(const std::vector<Plan>& plans, Slots& slots) {
  base::PlacementEpoch epoch;
  {
    base::MutexLock lock(mutex_);
    if (placement_ != nullptr) epoch = placement_->epoch();
  }
  for (const Plan& plan : plans) {
    const absl::Status sent = SendPlanned(*plan, epoch, options_.wire_dtype, Now(), pool_);
    std::vector<Completion> completions;
    {
      base::MutexLock lock(mutex_);
      plan->call->EndUse();
      if (!sent.ok()) plan->link->stream(plan->lane).CountAnswered(plan->session);
      if (!sent.ok() && in_flight_.contains(plan->id)) {
        const std::size_t first = slots.size();
        Release(*plan, "unsent", slots);
        for (std::size_t i = first; i < slots.size(); ++i) {
          slots[i].call->Avoid(slots[i].slot, plan->link->info.id);
        }
      }
      CompleteIfDone(plan->call, completions);
    }
    RunCompletions(std::move(completions));
  }
}

void ExpertDispatcher::Impl::RetryWaiting(bool forget_refusals) {
  Slots slots;
  {
    base::MutexLock lock(mutex_);
    slots = std::move(waiting_);
    waiting_.clear();
    if (forget_refusals) {
      NoteHolders();
      for (const SlotRef& ref : slots) ref.call->ForgetAvoided(ref.slot);
    }
  }
  PlaceAndSend(std::move(slots));
}

void ExpertDispatcher::Impl::FindCandidates(Planning& planning, const SlotRef& ref,
                                            rpc::Lane lane) {
  const placement::UnitKey unit{ref.call->call().layer, ref.call->unit_of(ref.slot)};
  const auto inserted = planning.candidates.try_emplace({ref.call->id(), lane, unit.unit.value()});
  if (!inserted.second) return;
  auto& candidates = inserted.first->second;  // clang captures no structured binding
  VisitHolders(unit, lane, [&](const std::shared_ptr<ShardLink>& link) {
    const ReplicaStanding standing = link->Standing(unit, planning.now);
    // A hedge to a shard that may be as late as the first one would be wasted.
    if (planning.purpose == Purpose::kHedge && standing != ReplicaStanding::kGood) return;
    candidates.push_back({link, standing, link->Wait(lane, planning.now), false});
  });
}

void ExpertDispatcher::Impl::VisitHolders(
    const placement::UnitKey& unit, rpc::Lane lane,
    absl::FunctionRef<void(const std::shared_ptr<ShardLink>&)> visit) const {
  if (placement_ == nullptr) return;
  const auto holders = placement_->Holders(unit.layer, unit.unit);
  for (const base::ShardId id : holders) {
    const auto link = links_.find(id);
    if (link != links_.end() && link->second->CanSend(lane, 0)) visit(link->second);
  }
  if (!searched_) return;
  for (const auto& [id, link] : links_) {
    if (link->found.contains(unit) && link->CanSend(lane, 0) &&
        !std::binary_search(holders.begin(), holders.end(), id)) {
      visit(link);
    }
  }
}

std::shared_ptr<ShardLink> ExpertDispatcher::Impl::ChooseLink(Planning& planning,
                                                              const SlotRef& ref, rpc::Lane lane) {
  FindCandidates(planning, ref, lane);
  const std::uint32_t unit = ref.call->unit_of(ref.slot).value();
  auto& candidates = planning.candidates.at({ref.call->id(), lane, unit});
  const auto experts = static_cast<std::uint32_t>(ref.call->experts_of(ref.slot).size());
  absl::InlinedVector<ReplicaLoad, 4> replicas;
  absl::InlinedVector<Planning::Candidate*, 4> chosen_from;
  ReplicaStanding best_full = ReplicaStanding::kSuspect;
  bool full = false;
  for (Planning::Candidate& candidate : candidates) {
    const ShardLink& link = *candidate.link;
    if (ref.call->Avoids(ref.slot, link.info.id)) continue;
    if (!link.HasRoom(lane)) {
      full = true;
      best_full = std::min(best_full, candidate.standing);
      continue;
    }
    const absl::Duration cost = link.estimate.Cost(
        {.rows = experts, .experts = candidate.touched ? 0 : experts}, link.info);
    const absl::Duration planned = planning.planned_cost[link.info.id];
    replicas.push_back({link.info.id, candidate.standing, candidate.wait + planned + cost, cost});
    chosen_from.push_back(&candidate);
  }
  const std::uint64_t random = Mix(seed_ ^ Mix(ref.call->id()) ^ Mix(unit + 1));
  const auto chosen = ChooseReplica(replicas, random);
  // Room on a good one is worth waiting for when the only one with room is worse.
  if (!chosen || (full && best_full < chosen_from[*chosen]->standing)) {
    if (full) {
      ++stats_.throttled_units;
      throttled_until_ = planning.now + kThrottled;
    }
    return nullptr;
  }
  Planning::Candidate& winner = *chosen_from[*chosen];
  winner.touched = true;
  planning.planned_cost[winner.link->info.id] += replicas[*chosen].cost;
  ++winner.link->stream(lane).in_flight_rows;  // at once, so that the next slot sees it
  return winner.link;
}

std::vector<ExpertDispatcher::Impl::Plan> ExpertDispatcher::Impl::PlanDispatches(Slots slots,
                                                                                 Purpose purpose) {
  std::sort(slots.begin(), slots.end(), [](const SlotRef& a, const SlotRef& b) {
    return std::tuple(a.call->id(), a.slot) < std::tuple(b.call->id(), b.slot);
  });
  Planning planning{
      .purpose = purpose, .now = Now(), .candidates = {}, .planned_cost = {}, .groups = {}};
  for (SlotRef& ref : slots) {
    const bool owned = ref.call->owner(ref.slot) != 0;
    if (!ref.call->IsOpen(ref.slot) || owned != (purpose == Purpose::kHedge)) continue;
    const rpc::Lane lane = ref.call->call().is_prefill[ref.call->token_of(ref.slot)]
                               ? rpc::Lane::kPrefill
                               : rpc::Lane::kDecode;
    const std::shared_ptr<ShardLink> link = ChooseLink(planning, ref, lane);
    if (link == nullptr) {
      if (purpose == Purpose::kOwn) KeepWaiting(std::move(ref));
      continue;
    }
    Planning::Group& group = planning.groups[{ref.call->id(), link->info.id, lane}];
    group.call = ref.call;
    group.link = link;
    group.slots.push_back(ref.slot);
  }
  std::vector<Plan> plans;
  for (const auto& [key, group] : planning.groups) {
    PlanMessages(group.call, group.link, std::get<rpc::Lane>(key), group.slots, purpose, plans);
  }
  return plans;
}

void ExpertDispatcher::Impl::PlanMessages(const std::shared_ptr<ExpertCallState>& call,
                                          const std::shared_ptr<ShardLink>& link, rpc::Lane lane,
                                          const std::vector<std::int32_t>& slots, Purpose purpose,
                                          std::vector<Plan>& plans) {
  for (InFlightDispatch& message : CutIntoMessages(*call, slots, options_.wire_dtype)) {
    if (!MaySend(*link, lane, message.bytes, purpose)) {
      link->stream(lane).in_flight_rows -= message.slots.size();
      if (purpose == Purpose::kHedge) continue;
      for (const std::int32_t slot : message.slots) KeepWaiting({call, slot});
      continue;
    }
    message.call = call;
    message.link = link;
    message.lane = lane;
    message.hedge = purpose == Purpose::kHedge;
    Book(std::move(message), plans);
  }
}

bool ExpertDispatcher::Impl::MaySend(const ShardLink& link, rpc::Lane lane, std::size_t bytes,
                                     Purpose purpose) {
  return link.CanSend(lane, bytes) && (purpose == Purpose::kOwn || TrySpend());
}

void ExpertDispatcher::Impl::Book(InFlightDispatch message, std::vector<Plan>& plans) {
  ExpertCallState& call = *message.call;
  ShardLink& link = *message.link;
  ShardLink::LaneStream& stream = link.stream(message.lane);
  message.id = next_id_++;
  message.sent_at = Now();
  message.session = stream.session;
  for (const std::int32_t slot : message.slots) {
    message.retry = message.retry || call.retried(slot);
    message.hedge ? call.SetHedger(slot, message.id) : call.SetOwner(slot, message.id);
  }
  message.cost = link.estimate.Cost(WorkOf(message), link.info);
  message.patience =
      link.estimate.HedgeAfter(message.lane, static_cast<std::uint32_t>(message.slots.size()),
                               link.Wait(message.lane, message.sent_at) + message.cost);
  call.BeginUse();
  stream.in_flight_bytes += message.bytes;
  stream.backlog += message.cost;
  ++stream.unanswered;
  ++stats_.dispatches;
  stats_.hedges += message.hedge;
  hedges_in_flight_ += message.hedge;
  stats_.rows += message.tokens.size();
  stats_.bytes_sent += message.bytes;
  ++link.counters.dispatches;
  link.counters.rows += message.tokens.size();
  link.counters.bytes_sent += message.bytes;
  InFlight entry;
  entry.hedge_at = message.hedge ? absl::InfiniteDuration() : message.sent_at + message.patience;
  entry.max_silence = std::max(kMinOverdue, kOverduePatience * message.patience);
  entry.overdue_at = message.sent_at + entry.max_silence;
  entry.abandon_at = message.sent_at + std::max(kMinAbandon, kAbandonPatience * message.patience);
  Arm(std::min(entry.hedge_at, entry.overdue_at));
  plans.push_back(std::make_shared<const InFlightDispatch>(std::move(message)));
  entry.plan = plans.back();
  in_flight_[entry.plan->id] = std::move(entry);
}

void ExpertDispatcher::Impl::KeepWaiting(SlotRef ref) {
  const absl::Duration now = Now();
  if (waiting_.empty()) retry_at_ = now + kRetryInterval;
  ref.waiting_since = std::min(ref.waiting_since, now);
  waiting_.push_back(std::move(ref));
  Arm(retry_at_);
}

void ExpertDispatcher::Impl::Release(const InFlightDispatch& plan, std::string_view ending,
                                     Slots& slots, const rpc::DispatchReply* reply) {
  const Plan keep = in_flight_.at(plan.id).plan;  // `plan` may live by the entry alone
  TraceDispatch(plan, ending, reply);
  in_flight_.erase(plan.id);
  hedges_in_flight_ -= plan.hedge;
  ShardLink::LaneStream& stream = plan.link->stream(plan.lane);
  stream.in_flight_bytes -= plan.bytes;
  stream.in_flight_rows -= plan.slots.size();
  stream.backlog -= plan.cost;
  for (const std::int32_t slot : plan.slots) {
    if (!plan.call->Owes(slot, plan.id) || !plan.call->Disown(slot, plan.id)) continue;
    slots.push_back({plan.call, slot});
    ++stats_.retried_units;
  }
}

void ExpertDispatcher::Impl::ReleaseLane(const ShardLink& link, rpc::Lane lane, Slots& slots) {
  std::vector<Plan> owed;
  for (const auto& [id, entry] : in_flight_) {
    if (entry.plan->link.get() == &link && entry.plan->lane == lane) owed.push_back(entry.plan);
  }
  for (const Plan& plan : owed) Release(*plan, "lost", slots);
}

}  // namespace moesaic::router
