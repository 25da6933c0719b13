#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/strings.h"
#include "router/dispatch/dispatch_core.h"
#include "rpc/wire_convert.h"

namespace moesaic::router {
namespace {

/// How soon a slot without a usable replica is tried again; a shard that is loading its unit
/// answers `missing_units` until then, so this bounds both the delay and the traffic.
constexpr absl::Duration kRetryInterval = absl::Milliseconds(10);

}  // namespace

void ExpertDispatcher::Impl::OnConnected(ShardLink& link, rpc::Lane lane,
                                         const rpc::PeerHello& shard) {
  {
    base::MutexLock lock(mutex_);
    link.stream(lane).connected = true;
    link.stream(lane).credit_bytes = shard.credit_bytes;
  }
  RetryWaiting(/*forget_refusals=*/true);
}

void ExpertDispatcher::Impl::OnBroken(ShardLink& link, rpc::Lane lane, const absl::Status& status) {
  Slots lost;
  {
    base::MutexLock lock(mutex_);
    if (!link.stream(lane).connected) return;  // an attempt to connect failed
    link.stream(lane).connected = false;
    ++stats_.broken_streams;
    ReleaseLane(link, lane, lost);
  }
  base::LogWarning("shard ", link.info.name, ": ", base::ToAbsl(rpc::LaneName(lane)),
                   " stream lost with ", lost.size(), " results to come: ", status.ToString());
  PlaceAndSend(std::move(lost));
}

void ExpertDispatcher::Impl::OnReply(ShardLink& link, rpc::DispatchReply reply) {
  Plan plan;
  Accepted accepted;
  bool retry_waiting = false;
  {
    base::MutexLock lock(mutex_);
    stats_.bytes_received += reply.rows.size();
    const auto found = in_flight_.find(reply.dispatch_id);
    if (found == in_flight_.end() || found->second->link.get() != &link) {
      stats_.late_rows += reply.row_index.size();
      return;
    }
    plan = found->second;
    accepted = Accept(*plan, reply);
    plan->call->BeginUse();
    retry_waiting = !reply.more && !waiting_.empty();  // there is credit again
  }
  CopyResults(*plan, reply, accepted);
  std::vector<Completion> completions;
  {
    base::MutexLock lock(mutex_);
    plan->call->Filled(static_cast<std::int32_t>(accepted.copies.size()));
    plan->call->EndUse();
    CompleteIfDone(plan->call, completions);
  }
  RunCompletions(std::move(completions));
  PlaceAndSend(std::move(accepted.retry));
  if (retry_waiting) RetryWaiting(/*forget_refusals=*/false);
}

ExpertDispatcher::Impl::Accepted ExpertDispatcher::Impl::Accept(const InFlightDispatch& plan,
                                                                const rpc::DispatchReply& reply) {
  Accepted accepted;
  if (reply.code == rpc::DispatchCode::kInvalid) {
    // The same message would be refused everywhere.
    for (const std::int32_t slot : plan.slots) {
      if (!plan.call->IsOpen(slot) || plan.call->owner(slot) != plan.id) continue;
      plan.call->FailToken(plan.call->token_of(slot),
                           absl::InternalError(absl::StrCat("shard ", plan.link->info.name,
                                                            " refused a dispatch: ", reply.error)));
      ++stats_.failed_rows;
    }
  } else if (reply.code == rpc::DispatchCode::kOk) {
    AcceptResults(plan, reply, accepted);
    AcceptMissing(plan, reply, accepted);
    if (reply.more) return accepted;
  }
  // Whatever the finished dispatch still owes goes to somebody else.
  CountAnswer(plan, reply);
  const std::size_t first = accepted.retry.size();
  Release(plan, accepted.retry);
  if (accepted.retry.size() > first && reply.code == rpc::DispatchCode::kOk) {
    ++stats_.invalid_replies;
  }
  for (std::size_t i = first; i < accepted.retry.size(); ++i) {
    plan.call->Avoid(accepted.retry[i].slot, plan.link->info.id);
  }
  return accepted;
}

void ExpertDispatcher::Impl::AcceptResults(const InFlightDispatch& plan,
                                           const rpc::DispatchReply& reply, Accepted& accepted) {
  if (reply.row_index.empty()) return;
  if (reply.dtype != rpc::ReplyDtype(options_.wire_dtype)) {
    ++stats_.invalid_replies;  // Other bits than those asked for.
    return;
  }
  for (std::size_t i = 0; i < reply.row_index.size(); ++i) {
    const std::int32_t slot =
        reply.row_index[i] < plan.tokens.size()
            ? plan.call->FindSlot(plan.tokens[reply.row_index[i]], base::UnitId(reply.unit_id[i]))
            : -1;
    if (slot < 0) {
      ++stats_.invalid_replies;
    } else if (!plan.call->IsOpen(slot) || plan.call->owner(slot) != plan.id) {
      ++stats_.late_rows;
    } else {
      plan.call->Claim(slot);
      accepted.copies.emplace_back(i, slot);
    }
  }
}

void ExpertDispatcher::Impl::AcceptMissing(const InFlightDispatch& plan,
                                           const rpc::DispatchReply& reply, Accepted& accepted) {
  for (const std::int32_t slot : plan.slots) {
    if (!plan.call->IsOpen(slot) || plan.call->owner(slot) != plan.id) continue;
    const std::uint32_t unit = plan.call->unit_of(slot).value();
    if (std::find(reply.missing_units.begin(), reply.missing_units.end(), unit) ==
        reply.missing_units.end()) {
      continue;
    }
    ++stats_.missing_units;
    ++stats_.retried_units;
    plan.call->SetOwner(slot, 0);
    plan.call->Avoid(slot, plan.link->info.id);
    accepted.retry.push_back({plan.call, slot});
  }
}

void ExpertDispatcher::Impl::CountAnswer(const InFlightDispatch& plan,
                                         const rpc::DispatchReply& reply) {
  ShardDispatchStats& counters = plan.link->counters;
  ++counters.answered;
  counters.round_trip_sum += Now() - plan.sent_at;
  counters.queue_wait_sum += absl::Microseconds(reply.queue_wait_us);
  counters.compute_sum += absl::Microseconds(reply.compute_us);
}

void ExpertDispatcher::Impl::CopyResults(const InFlightDispatch& plan,
                                         const rpc::DispatchReply& reply,
                                         const Accepted& accepted) {
  const ExpertCall& call = plan.call->call();
  const auto hidden = static_cast<std::size_t>(call.hidden_size);
  const std::size_t row_bytes = hidden * rpc::WireDtypeBytes(reply.dtype);
  auto* slots = call.slots.As<float>();
  for (const auto& [row, slot] : accepted.copies) {
    rpc::DecodeWireRow(reply.rows.subspan(row * row_bytes, row_bytes), reply.dtype, nullptr,
                       {slots + slot * hidden, hidden});
  }
}

void ExpertDispatcher::Impl::OnTimer(absl::Duration due) {
  std::vector<Completion> completions;
  std::vector<Plan> unwanted;
  {
    base::MutexLock lock(mutex_);
    timers_.erase(due);
    FailExpired(Now());
    unwanted = TakeUnwanted();
    std::vector<std::shared_ptr<ExpertCallState>> calls;
    for (const auto& [id, active] : calls_) calls.push_back(active.state);
    for (const auto& call : calls) CompleteIfDone(call, completions);
  }
  for (const Plan& plan : unwanted) {
    plan->link->stream(plan->lane).client->Cancel({plan->id});
  }
  RunCompletions(std::move(completions));
  RetryWaiting(/*forget_refusals=*/true);
  base::MutexLock lock(mutex_);
  ArmTimer();
}

void ExpertDispatcher::Impl::FailExpired(absl::Duration now) {
  for (auto& [id, active] : calls_) {
    if (active.next_deadline > now) continue;
    active.next_deadline = absl::InfiniteDuration();
    ExpertCallState& call = *active.state;
    for (std::int32_t slot = 0; slot < call.slot_count(); ++slot) {
      if (!call.IsOpen(slot)) continue;
      const std::int32_t token = call.token_of(slot);
      const absl::Duration deadline = call.call().deadlines[token];
      if (deadline > now) {
        active.next_deadline = std::min(active.next_deadline, deadline);
        continue;
      }
      const std::string where =
          absl::StrCat("layer ", call.call().layer.value(), " unit ", call.unit_of(slot).value());
      call.FailToken(token, HasLiveHolder(call.call().layer, call.unit_of(slot))
                                ? absl::DeadlineExceededError(
                                      absl::StrCat(where, ": not answered before the deadline"))
                                : absl::UnavailableError(absl::StrCat(
                                      where, ": no live replica before the deadline")));
      ++stats_.failed_rows;
    }
  }
}

std::vector<ExpertDispatcher::Impl::Plan> ExpertDispatcher::Impl::TakeUnwanted() {
  std::vector<Plan> unwanted;
  for (const auto& [id, plan] : in_flight_) {
    const bool wanted =
        std::any_of(plan->slots.begin(), plan->slots.end(), [&plan = plan](std::int32_t slot) {
          return plan->call->IsOpen(slot) && plan->call->owner(slot) == plan->id;
        });
    if (!wanted) unwanted.push_back(plan);
  }
  Slots none;
  for (const Plan& plan : unwanted) Release(*plan, none);
  return unwanted;
}

void ExpertDispatcher::Impl::ArmTimer() {
  absl::Duration due = absl::InfiniteDuration();
  for (const auto& [id, active] : calls_) due = std::min(due, active.next_deadline);
  const absl::Duration now = Now();
  if (!waiting_.empty()) due = std::min(due, now + kRetryInterval);
  if (due == absl::InfiniteDuration() || (!timers_.empty() && *timers_.begin() <= due)) return;
  timers_.insert(due);
  timer_loop_.PostAfter(due - now, [this, due] { OnTimer(due); });
}

void ExpertDispatcher::Impl::CompleteIfDone(const std::shared_ptr<ExpertCallState>& call,
                                            std::vector<Completion>& completions) {
  Completion completion;
  if (!call->TakeCompletion(completion.done, completion.outcome)) return;
  calls_.erase(call->id());
  completions.push_back(std::move(completion));
}

void ExpertDispatcher::Impl::RunCompletions(std::vector<Completion> completions) {
  for (Completion& completion : completions) completion.done(std::move(completion.outcome));
}

}  // namespace moesaic::router
