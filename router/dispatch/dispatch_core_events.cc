#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/strings.h"
#include "router/dispatch/dispatch_core.h"
#include "rpc/wire_convert.h"

namespace moesaic::router {
namespace {

/// A shard that says it lacks a unit is not asked for it again for this long where another holds
/// it: it is loading, or the placement is behind.
constexpr absl::Duration kBelieveMissing = absl::Milliseconds(250);

}  // namespace

void ExpertDispatcher::Impl::OnConnected(ShardLink& link, rpc::Lane lane,
                                         const rpc::PeerHello& shard) {
  {
    base::MutexLock lock(mutex_);
    ShardLink::LaneStream& stream = link.stream(lane);
    stream.connected = true;
    ++stream.session;
    stream.unanswered = 0;
    stream.credit_bytes = shard.credit_bytes;
    link.heard_at = Now();
    link.lacks.clear();
    link.found.clear();
  }
  RetryWaiting(/*forget_refusals=*/true);
}

void ExpertDispatcher::Impl::OnBroken(ShardLink& link, rpc::Lane lane, const absl::Status& status) {
  Slots lost;
  std::string shard;
  {
    base::MutexLock lock(mutex_);
    if (!link.stream(lane).connected) return;  // an attempt to connect failed
    shard = link.info.name;
    link.stream(lane).connected = false;
    link.suspect = true;  // until it has answered again
    ++stats_.broken_streams;
    ++stats_.errors[absl::AsciiStrToLower(absl::StatusCodeToString(status.code()))];
    ReleaseLane(link, lane, lost);
  }
  base::LogWarning("shard ", shard, ": ", base::ToAbsl(rpc::LaneName(lane)), " stream lost with ",
                   lost.size(), " results to come: ", status.ToString());
  PlaceAndSend(std::move(lost));
}

void ExpertDispatcher::Impl::OnReply(ShardLink& link, rpc::Lane lane, rpc::DispatchReply reply) {
  Plan plan;
  Accepted accepted;
  std::vector<Plan> beaten;
  bool retry_waiting = false;
  {
    base::MutexLock lock(mutex_);
    stats_.bytes_received += reply.rows.size();
    link.counters.bytes_received += reply.rows.size();
    link.NoteAnswer(Now());
    if (!reply.more) link.stream(lane).CountAnswered(link.stream(lane).session);
    const auto found = in_flight_.find(reply.dispatch_id);
    if (found == in_flight_.end() || found->second.plan->link.get() != &link) {
      stats_.late_rows += reply.row_index.size();
      if (reply.batch_rows > 0) {
        // Its assignments are forgotten; there is at least one a row.
        stats_.wasted_seconds += 1e-6 * static_cast<double>(reply.compute_us) *
                                 static_cast<double>(reply.row_index.size()) / reply.batch_rows;
      }
      return;
    }
    plan = found->second.plan;
    const bool contested = hedges_in_flight_ > 0;
    accepted = Accept(*plan, reply);
    plan->call->BeginUse();
    if (contested) beaten = TakeUnwanted(plan->call.get());
    retry_waiting = !reply.more && !waiting_.empty();  // there is credit again
  }
  CopyResults(*plan, reply, accepted);
  std::vector<Completion> completions;
  {
    base::MutexLock lock(mutex_);
    plan->call->Filled(static_cast<std::int32_t>(accepted.copies.size()),
                       absl::Microseconds(reply.queue_wait_us),
                       absl::Microseconds(reply.compute_us));
    plan->call->EndUse();
    CompleteIfDone(plan->call, completions);
  }
  RunCompletions(std::move(completions));
  Cancel(beaten);
  PlaceAndSend(std::move(accepted.retry));
  if (retry_waiting) RetryWaiting(/*forget_refusals=*/false);
}

ExpertDispatcher::Impl::Accepted ExpertDispatcher::Impl::Accept(const InFlightDispatch& plan,
                                                                const rpc::DispatchReply& reply) {
  Accepted accepted;
  if (reply.code == rpc::DispatchCode::kInvalid) {
    // The same message would be refused everywhere.
    for (const std::int32_t slot : plan.slots) {
      if (!plan.call->Owes(slot, plan.id)) continue;
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
  if (reply.code == rpc::DispatchCode::kDraining) plan.link->info.draining = true;
  // Whatever the finished dispatch still owes goes to somebody else.
  CountAnswer(plan, reply);
  const std::size_t first = accepted.retry.size();
  Release(plan, rpc::DispatchCodeName(reply.code), accepted.retry, &reply);
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
  // Of the batch's time an assignment has an equal part.
  const double seconds_per_row =
      reply.batch_rows == 0 ? 0 : 1e-6 * static_cast<double>(reply.compute_us) / reply.batch_rows;
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
      continue;
    }
    const double seconds =
        seconds_per_row * static_cast<double>(plan.call->experts_of(slot).size());
    if (!plan.call->Owes(slot, plan.id)) {
      ++stats_.late_rows;
      stats_.wasted_seconds += seconds;
    } else {
      plan.call->AddWork(slot, seconds, plan.link->price_per_second);
      stats_.hedge_wins += plan.hedge;
      plan.call->Claim(slot);
      accepted.copies.emplace_back(i, slot);
    }
  }
}

void ExpertDispatcher::Impl::AcceptMissing(const InFlightDispatch& plan,
                                           const rpc::DispatchReply& reply, Accepted& accepted) {
  for (const std::int32_t slot : plan.slots) {
    if (!plan.call->Owes(slot, plan.id)) continue;
    const placement::UnitKey unit{plan.call->call().layer, plan.call->unit_of(slot)};
    if (std::find(reply.missing_units.begin(), reply.missing_units.end(), unit.unit.value()) ==
        reply.missing_units.end()) {
      continue;
    }
    ++stats_.missing_units;
    plan.link->lacks[unit] = Now() + kBelieveMissing;
    plan.call->Avoid(slot, plan.link->info.id);
    if (!plan.call->Disown(slot, plan.id)) continue;
    ++stats_.retried_units;
    accepted.retry.push_back({plan.call, slot});
  }
}

void ExpertDispatcher::Impl::CountAnswer(const InFlightDispatch& plan,
                                         const rpc::DispatchReply& reply) {
  ShardLink& link = *plan.link;
  ShardLink::LaneStream& stream = link.stream(plan.lane);
  const absl::Duration now = Now();
  const ShardEstimate::Answer answer{.lane = plan.lane,
                                     .rows = static_cast<std::uint32_t>(plan.slots.size()),
                                     .round_trip = now - plan.sent_at,
                                     .queue_wait = absl::Microseconds(reply.queue_wait_us),
                                     .compute = absl::Microseconds(reply.compute_us),
                                     .batch_rows = reply.batch_rows,
                                     .ns_per_row = reply.ns_per_row,
                                     .ns_per_expert = reply.ns_per_expert};
  ++link.counters.answered;
  link.counters.round_trip_sum += answer.round_trip;
  link.counters.queue_wait_sum += answer.queue_wait;
  link.counters.compute_sum += answer.compute;
  if (link.duration) link.duration->Observe(absl::ToDoubleSeconds(answer.round_trip));
  if (reply.code == rpc::DispatchCode::kOk) {
    budget_.OnSuccess();
    link.estimate.OnAnswer(answer, now);
    stream.limit.OnAnswer(answer.queue_wait, answer.compute, stream.in_flight_rows);
  } else if (reply.code == rpc::DispatchCode::kOverloaded) {
    stream.limit.OnAnswer(absl::InfiniteDuration(), answer.compute, stream.in_flight_rows);
  }
  if (reply.code != rpc::DispatchCode::kOk) {
    ++stats_.errors[std::string(rpc::DispatchCodeName(reply.code))];
  }
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
  std::vector<Plan> abandoned;
  std::vector<Plan> hedges;
  Slots slots;
  bool retry = false;
  {
    base::MutexLock lock(mutex_);
    timers_.erase(due);
    const absl::Duration now = Now();
    FailExpired(now);
    unwanted = TakeUnwanted(nullptr);
    SuspectTheSilent(now);
    hedges = PlanHedges(now);
    abandoned = Abandon(now, slots);
    retry = !waiting_.empty() && retry_at_ <= now;
    if (retry) SearchHolders(now);
    std::vector<std::shared_ptr<ExpertCallState>> calls;
    for (const auto& [id, active] : calls_) calls.push_back(active.state);
    for (const auto& call : calls) CompleteIfDone(call, completions);
  }
  Cancel(unwanted);
  Cancel(abandoned);
  RunCompletions(std::move(completions));
  Send(hedges, slots);
  PlaceAndSend(std::move(slots));
  if (retry) RetryWaiting(/*forget_refusals=*/true);
  base::MutexLock lock(mutex_);
  ArmNext();
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
      call.FailToken(token, HasLiveHolder({call.call().layer, call.unit_of(slot)})
                                ? absl::DeadlineExceededError(
                                      absl::StrCat(where, ": not answered before the deadline"))
                                : absl::UnavailableError(absl::StrCat(
                                      where, ": no live replica before the deadline")));
      ++stats_.failed_rows;
    }
  }
}

void ExpertDispatcher::Impl::Arm(absl::Duration due) {
  if (due == absl::InfiniteDuration() || (!timers_.empty() && *timers_.begin() <= due)) return;
  timers_.insert(due);
  timer_loop_.PostAfter(due - Now(), [this, due] { OnTimer(due); });
}

void ExpertDispatcher::Impl::ArmNext() {
  absl::Duration due = waiting_.empty() ? absl::InfiniteDuration() : retry_at_;
  for (const auto& [id, active] : calls_) due = std::min(due, active.next_deadline);
  for (const auto& [id, entry] : in_flight_) {
    due = std::min({due, entry.hedge_at, entry.overdue_at, entry.abandon_at});
  }
  Arm(due);
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
