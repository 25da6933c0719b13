#include <algorithm>
#include <map>
#include <tuple>

#include "absl/container/inlined_vector.h"
#include "router/dispatch/dispatch_core.h"
#include "router/dispatch/replica_choice.h"

namespace moesaic::router {

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
    if (next_deadline <= Now()) FailExpired(Now());
    for (std::int32_t slot = 0; slot < state->slot_count(); ++slot) {
      if (state->IsOpen(slot)) slots.push_back({state, slot});
    }
    CompleteIfDone(state, completions);
  }
  RunCompletions(std::move(completions));
  PlaceAndSend(std::move(slots));
}

void ExpertDispatcher::Impl::PlaceAndSend(Slots slots) {
  // Ends because a shard that could not be sent to is not asked again for the same slot.
  while (!slots.empty()) {
    std::vector<Plan> plans;
    base::PlacementEpoch epoch;
    {
      base::MutexLock lock(mutex_);
      plans = PlanDispatches(std::move(slots));
      if (placement_ != nullptr) epoch = placement_->epoch();
      ArmTimer();
    }
    slots.clear();
    for (const Plan& plan : plans) {
      const absl::Status sent = SendPlanned(*plan, epoch, options_.wire_dtype, Now(), pool_);
      std::vector<Completion> completions;
      {
        base::MutexLock lock(mutex_);
        plan->call->EndUse();
        if (!sent.ok() && in_flight_.contains(plan->id)) {
          const std::size_t first = slots.size();
          Release(*plan, slots);
          for (std::size_t i = first; i < slots.size(); ++i) {
            slots[i].call->Avoid(slots[i].slot, plan->link->info.id);
          }
        }
        CompleteIfDone(plan->call, completions);
      }
      RunCompletions(std::move(completions));
    }
  }
}

void ExpertDispatcher::Impl::RetryWaiting(bool forget_refusals) {
  Slots slots;
  {
    base::MutexLock lock(mutex_);
    slots = std::move(waiting_);
    waiting_.clear();
    if (forget_refusals) {
      for (const SlotRef& ref : slots) ref.call->ForgetAvoided(ref.slot);
    }
  }
  PlaceAndSend(std::move(slots));
}

std::shared_ptr<ShardLink> ExpertDispatcher::Impl::ChooseLink(const SlotRef& ref, rpc::Lane lane) {
  if (placement_ == nullptr) return nullptr;
  absl::InlinedVector<ReplicaLoad, 4> replicas;
  const base::LayerId layer = ref.call->call().layer;
  for (const base::ShardId id : placement_->Holders(layer, ref.call->unit_of(ref.slot))) {
    const auto found = links_.find(id);
    if (found == links_.end() || !found->second->CanSend(lane, 0) ||
        ref.call->Avoids(ref.slot, id)) {
      continue;
    }
    const ShardLink& link = *found->second;
    replicas.push_back({id, link.counters.in_flight_rows, link.info.draining});
  }
  const auto chosen = ChooseReplica(replicas);
  return chosen ? links_.at(replicas[*chosen].shard) : nullptr;
}

std::vector<ExpertDispatcher::Impl::Plan> ExpertDispatcher::Impl::PlanDispatches(Slots slots) {
  std::sort(slots.begin(), slots.end(), [](const SlotRef& a, const SlotRef& b) {
    return std::tuple(a.call->id(), a.slot) < std::tuple(b.call->id(), b.slot);
  });
  struct Group {
    std::shared_ptr<ExpertCallState> call;
    std::shared_ptr<ShardLink> link;
    std::vector<std::int32_t> slots;
  };
  std::map<std::tuple<std::uint64_t, base::ShardId, rpc::Lane>, Group> groups;
  for (SlotRef& ref : slots) {
    if (!ref.call->IsOpen(ref.slot) || ref.call->owner(ref.slot) != 0) continue;
    const rpc::Lane lane = ref.call->call().is_prefill[ref.call->token_of(ref.slot)]
                               ? rpc::Lane::kPrefill
                               : rpc::Lane::kDecode;
    const std::shared_ptr<ShardLink> link = ChooseLink(ref, lane);
    if (link == nullptr) {
      waiting_.push_back(std::move(ref));
      continue;
    }
    ++link->counters.in_flight_rows;  // counted at once, so that the next slot sees it
    Group& group = groups[{ref.call->id(), link->info.id, lane}];
    group.call = ref.call;
    group.link = link;
    group.slots.push_back(ref.slot);
  }
  std::vector<Plan> plans;
  for (const auto& [key, group] : groups) {
    PlanMessages(group.call, group.link, std::get<rpc::Lane>(key), group.slots, plans);
  }
  return plans;
}

void ExpertDispatcher::Impl::PlanMessages(const std::shared_ptr<ExpertCallState>& call,
                                          const std::shared_ptr<ShardLink>& link, rpc::Lane lane,
                                          const std::vector<std::int32_t>& slots,
                                          std::vector<Plan>& plans) {
  for (InFlightDispatch& message : CutIntoMessages(*call, slots, options_.wire_dtype)) {
    if (!link->CanSend(lane, message.bytes)) {
      link->counters.in_flight_rows -= message.slots.size();
      for (const std::int32_t slot : message.slots) waiting_.push_back({call, slot});
      continue;
    }
    message.id = next_id_++;
    message.call = call;
    message.link = link;
    message.lane = lane;
    message.sent_at = Now();
    for (const std::int32_t slot : message.slots) call->SetOwner(slot, message.id);
    call->BeginUse();
    link->stream(lane).in_flight_bytes += message.bytes;
    ++stats_.dispatches;
    stats_.rows += message.tokens.size();
    stats_.bytes_sent += message.bytes;
    ++link->counters.dispatches;
    link->counters.rows += message.tokens.size();
    plans.push_back(std::make_shared<const InFlightDispatch>(std::move(message)));
    in_flight_[plans.back()->id] = plans.back();
  }
}

void ExpertDispatcher::Impl::Release(const InFlightDispatch& plan, Slots& slots) {
  const Plan keep = in_flight_.at(plan.id);  // `plan` may live by the entry alone
  in_flight_.erase(plan.id);
  plan.link->stream(plan.lane).in_flight_bytes -= plan.bytes;
  plan.link->counters.in_flight_rows -= plan.slots.size();
  for (const std::int32_t slot : plan.slots) {
    if (!plan.call->IsOpen(slot) || plan.call->owner(slot) != plan.id) continue;
    plan.call->SetOwner(slot, 0);
    slots.push_back({plan.call, slot});
    ++stats_.retried_units;
  }
}

void ExpertDispatcher::Impl::ReleaseLane(const ShardLink& link, rpc::Lane lane, Slots& slots) {
  std::vector<Plan> owed;
  for (const auto& [id, plan] : in_flight_) {
    if (plan->link.get() == &link && plan->lane == lane) owed.push_back(plan);
  }
  for (const Plan& plan : owed) Release(*plan, slots);
}

}  // namespace moesaic::router
