#include <algorithm>

#include "base/log.h"
#include "router/dispatch/dispatch_core.h"

namespace moesaic::router {
namespace {

/// A unit without a holder is searched for after this time: the coordinator, if it is there, says
/// it sooner.
constexpr absl::Duration kSearchAfter = absl::Milliseconds(300);
/// Upper limit of the time between two attempts to hedge the same dispatch.
constexpr absl::Duration kHedgeAgain = absl::Milliseconds(50);

}  // namespace

std::vector<ExpertDispatcher::Impl::Plan> ExpertDispatcher::Impl::TakeUnwanted(
    const ExpertCallState* call) {
  std::vector<Plan> unwanted;
  for (const auto& [id, entry] : in_flight_) {
    const InFlightDispatch& plan = *entry.plan;
    if (call != nullptr && plan.call.get() != call) continue;
    const bool wanted =
        std::any_of(plan.slots.begin(), plan.slots.end(),
                    [&plan](std::int32_t slot) { return plan.call->Owes(slot, plan.id); });
    if (!wanted) unwanted.push_back(entry.plan);
  }
  Slots none;
  for (const Plan& plan : unwanted) {
    const absl::Duration waited = Now() - plan->sent_at;
    plan->link->estimate.OnAbandoned(plan->lane, static_cast<std::uint32_t>(plan->slots.size()),
                                     waited);
    // Somebody else has done its work meanwhile, and it has said nothing at all.
    const bool silent = plan->link->heard_at <= plan->sent_at;
    if (silent && waited >= plan->patience) Suspect(*plan->link);
    Release(*plan, "unwanted", none);
  }
  return unwanted;
}

void ExpertDispatcher::Impl::Cancel(const std::vector<Plan>& plans) {
  for (const Plan& plan : plans) plan->link->stream(plan->lane).client->Cancel({plan->id});
}

void ExpertDispatcher::Impl::SuspectTheSilent(absl::Duration now) {
  for (auto& [id, entry] : in_flight_) {
    if (entry.overdue_at > now) continue;
    ShardLink& link = *entry.plan->link;
    const absl::Duration quiet_since = std::max(link.heard_at, entry.plan->sent_at);
    if (now - quiet_since < entry.max_silence) {
      entry.overdue_at = quiet_since + entry.max_silence;  // it answers others: busy, not silent
      continue;
    }
    entry.overdue_at = absl::InfiniteDuration();
    Suspect(link);
    base::LogWarning("shard ", link.info.name, " has been silent for ",
                     absl::FormatDuration(now - quiet_since), ": avoided until it answers");
  }
}

void ExpertDispatcher::Impl::Suspect(ShardLink& link) {
  stats_.suspicions += !link.suspect;
  link.suspect = true;
}

bool ExpertDispatcher::Impl::TrySpend() {
  if (budget_.TrySpend()) return true;
  ++stats_.budget_refusals;
  return false;
}

std::vector<ExpertDispatcher::Impl::Plan> ExpertDispatcher::Impl::PlanHedges(absl::Duration now) {
  Slots late;
  for (auto& [id, entry] : in_flight_) {
    if (entry.hedge_at > now) continue;
    const InFlightDispatch& plan = *entry.plan;
    // Tried again soon: the budget may have been empty, or no other replica free.
    entry.hedge_at = now + std::min(plan.patience, kHedgeAgain);
    // Under overload a late shard is only a busy one; a silent one is not.
    if (now < throttled_until_ && !plan.link->suspect) continue;
    for (const std::int32_t slot : plan.slots) {
      if (!plan.call->Owes(slot, plan.id) || plan.call->hedger(slot) != 0) continue;
      if (!plan.call->Avoids(slot, plan.link->info.id)) plan.call->Avoid(slot, plan.link->info.id);
      late.push_back({plan.call, slot});
    }
  }
  return PlanDispatches(std::move(late), Purpose::kHedge);
}

bool ExpertDispatcher::Impl::HasAlternative(const InFlightDispatch& plan,
                                            absl::Duration now) const {
  const base::LayerId layer = plan.call->call().layer;
  for (const std::int32_t slot : plan.slots) {
    if (!plan.call->Owes(slot, plan.id)) continue;
    const placement::UnitKey unit{layer, plan.call->unit_of(slot)};
    bool any = false;
    VisitHolders(unit, plan.lane, [&](const std::shared_ptr<ShardLink>& link) {
      any = any || (link != plan.link && link->Standing(unit, now) == ReplicaStanding::kGood);
    });
    if (any) return true;
  }
  return false;
}

std::vector<ExpertDispatcher::Impl::Plan> ExpertDispatcher::Impl::Abandon(absl::Duration now,
                                                                          Slots& slots) {
  std::vector<Plan> abandoned;
  for (auto& [id, entry] : in_flight_) {
    if (entry.abandon_at > now) continue;
    entry.abandon_at = now + (now - entry.plan->sent_at);
    // Where nobody else can do it, waiting costs nothing more than sending it again would.
    if (HasAlternative(*entry.plan, now) && TrySpend()) abandoned.push_back(entry.plan);
  }
  for (const Plan& plan : abandoned) {
    ++stats_.abandoned;
    const std::size_t first = slots.size();
    Release(*plan, "abandoned", slots);
    for (std::size_t i = first; i < slots.size(); ++i) {
      slots[i].call->Avoid(slots[i].slot, plan->link->info.id);
    }
  }
  return abandoned;
}

void ExpertDispatcher::Impl::SearchHolders(absl::Duration now) {
  if (placement_ == nullptr) return;
  bool starved = false;
  for (const SlotRef& ref : waiting_) {
    if (now - ref.waiting_since < kSearchAfter) continue;
    const placement::UnitKey unit{ref.call->call().layer, ref.call->unit_of(ref.slot)};
    bool held = false;
    VisitHolders(unit, rpc::Lane::kDecode, [&](const std::shared_ptr<ShardLink>& link) {
      held = held || !link->lacks.contains(unit);
    });
    starved = starved || !held;
  }
  if (!starved) return;
  std::vector<HolderSearch::Target> targets;
  for (const auto& [id, link] : links_) {
    if (link->connected()) targets.push_back({id, link->info.address});
  }
  search_.Request(std::move(targets), placement_->topology());
}

void ExpertDispatcher::Impl::OnHolderFound(base::ShardId shard,
                                           std::vector<placement::UnitKey> units) {
  {
    base::MutexLock lock(mutex_);
    const auto link = links_.find(shard);
    if (link == links_.end()) return;
    link->second->found = {units.begin(), units.end()};
    link->second->lacks.clear();
    searched_ = true;
  }
  RetryWaiting(/*forget_refusals=*/true);
}

}  // namespace moesaic::router
