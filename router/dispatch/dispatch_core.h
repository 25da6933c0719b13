#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "base/loop.h"
#include "base/mutex.h"
#include "router/dispatch/dispatch_plan.h"
#include "router/dispatch/expert_call_state.h"
#include "router/dispatch/expert_dispatcher.h"
#include "router/dispatch/holder_search.h"
#include "router/dispatch/retry_budget.h"
#include "router/dispatch/shard_link.h"
#include "router/dispatch/unit_load.h"
#include "rpc/buffer_pool.h"
#include "rpc/completion_queue.h"

namespace moesaic::router {

/// What ExpertDispatcher is made of: the calls in progress, the streams, and who owes what. Events
/// come from callers, the polling thread and a timer thread; decisions are taken under one lock,
/// while conversion, encoding, sending, copying and callbacks happen outside it. Thread-safe.
class ExpertDispatcher::Impl {
 public:
  explicit Impl(Options options);
  ~Impl();

  void SetPlacement(std::shared_ptr<const placement::PlacementMap> placement);
  void Compute(const ExpertCall& call, ExpertCallState::Done done);
  absl::Status Ready() const;
  DispatchStats Stats() const;
  placement::LoadReport TakeLoad();
  int unit_size() const { return static_cast<int>(options_.hello.model.unit_size); }

 private:
  class LaneHandler;
  /// A slot to be computed by somebody.
  struct SlotRef {
    std::shared_ptr<ExpertCallState> call;
    std::int32_t slot = 0;
    absl::Duration waiting_since = absl::InfiniteDuration();  // infinite = it does not wait
  };
  using Slots = std::vector<SlotRef>;
  using Plan = std::shared_ptr<const InFlightDispatch>;
  struct Completion {
    ExpertCallState::Done done;
    ExpertOutcome outcome;
  };
  /// A dispatch on its way, and when something is to be done about it (monotonic; infinite =
  /// nothing more).
  struct InFlight {
    Plan plan;
    absl::Duration hedge_at;    // ask another replica too
    absl::Duration overdue_at;  // suspect the shard if it has been silent for `max_silence`
    absl::Duration abandon_at;  // ask another replica instead
    absl::Duration max_silence;
  };
  struct Planning;
  enum class Purpose { kOwn, kHedge };
  struct ActiveCall {
    std::shared_ptr<ExpertCallState> state;
    absl::Duration next_deadline;  // earliest among the tokens not yet failed
  };
  /// Results of a reply that are wanted.
  struct Accepted {
    std::vector<std::pair<std::size_t, std::int32_t>> copies;  // (result row, slot)
    Slots retry;
  };

  // Events of a stream, on the polling thread.
  void OnConnected(ShardLink& link, rpc::Lane lane, const rpc::PeerHello& shard);
  void OnReply(ShardLink& link, rpc::Lane lane, rpc::DispatchReply reply);
  void OnBroken(ShardLink& link, rpc::Lane lane, const absl::Status& status);
  /// Fails tokens whose time is over, watches what is in flight, and asks again for slots that
  /// wait. `due`: the timer's own.
  void OnTimer(absl::Duration due);

  // Placing and sending (dispatch_core_send.cc).
  /// Plans and sends until every slot is either owed by a shard or waits.
  void PlaceAndSend(Slots slots);
  /// Asks again for what waits; also shards that refused it, when `forget_refusals`.
  void RetryWaiting(bool forget_refusals);
  /// Sends planned dispatches. What could not be sent and nobody else owes is added to `slots`.
  void Send(const std::vector<Plan>& plans, Slots& slots);
  /// Cuts slots into messages to the shards chosen for them. What has no shard now waits; of a
  /// hedge it is left to the dispatch that owes it.
  std::vector<Plan> PlanDispatches(Slots slots, Purpose purpose)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// The connected holders of a unit.
  void FindCandidates(Planning& planning, const SlotRef& ref, rpc::Lane lane)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Books the slot on the best of them; nullptr when it must wait.
  std::shared_ptr<ShardLink> ChooseLink(Planning& planning, const SlotRef& ref, rpc::Lane lane)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Plans the messages of one call, shard and lane.
  void PlanMessages(const std::shared_ptr<ExpertCallState>& call,
                    const std::shared_ptr<ShardLink>& link, rpc::Lane lane,
                    const std::vector<std::int32_t>& slots, Purpose purpose,
                    std::vector<Plan>& plans) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Whether the message may go now: the shard has credit and, for a hedge, there is budget.
  bool MaySend(const ShardLink& link, rpc::Lane lane, std::size_t bytes, Purpose purpose)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Book(InFlightDispatch message, std::vector<Plan>& plans)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Calls `visit` for every connected link that is believed to hold the unit and can take work.
  void VisitHolders(const placement::UnitKey& unit, rpc::Lane lane,
                    absl::FunctionRef<void(const std::shared_ptr<ShardLink>&)> visit) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void KeepWaiting(SlotRef ref) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Forgets a dispatch; the slots it still owes are added to `slots`, without an owner.
  /// `ending`: what a timeline says of it; with an answer's own figures where there is one.
  void Release(const InFlightDispatch& plan, std::string_view ending, Slots& slots,
               const rpc::DispatchReply* reply = nullptr) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Releases all that a lane of a shard owes.
  void ReleaseLane(const ShardLink& link, rpc::Lane lane, Slots& slots)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Replies and deadlines (dispatch_core_events.cc).
  Accepted Accept(const InFlightDispatch& plan, const rpc::DispatchReply& reply)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AcceptResults(const InFlightDispatch& plan, const rpc::DispatchReply& reply,
                     Accepted& accepted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AcceptMissing(const InFlightDispatch& plan, const rpc::DispatchReply& reply,
                     Accepted& accepted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CountAnswer(const InFlightDispatch& plan, const rpc::DispatchReply& reply)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CopyResults(const InFlightDispatch& plan, const rpc::DispatchReply& reply,
                   const Accepted& accepted);
  void FailExpired(absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Whether a shard of which `test` is true holds the unit.
  bool AnyHolder(const placement::UnitKey& unit,
                 absl::FunctionRef<bool(const ShardLink&)> test) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Whether a shard that can be reached holds the unit.
  bool HasLiveHolder(const placement::UnitKey& unit) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// OK when that is so of every unit; else Unavailable naming one.
  absl::Status AllUnitsHeld() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Makes OnTimer run at `due`, or before.
  void Arm(absl::Duration due) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ArmNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Takes a finished call out; its callback is run by RunCompletions, outside the lock.
  void CompleteIfDone(const std::shared_ptr<ExpertCallState>& call,
                      std::vector<Completion>& completions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void RunCompletions(std::vector<Completion> completions);

  // Watching what is in flight (dispatch_core_watch.cc).
  /// Forgets dispatches of `call` (nullptr = of any) nobody waits for and returns whom to tell.
  std::vector<Plan> TakeUnwanted(const ExpertCallState* call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void Cancel(const std::vector<Plan>& plans);
  /// Shards that have been silent since an overdue dispatch was sent become suspect.
  void SuspectTheSilent(absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Suspect(ShardLink& link) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Dispatches to send beside those that are late.
  std::vector<Plan> PlanHedges(absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Takes from shards what is past the hard limit and somebody else can do: added to `slots`.
  /// Returns whom to tell.
  std::vector<Plan> Abandon(absl::Duration now, Slots& slots) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Whether a good replica other than the plan's own could take one of its slots.
  bool HasAlternative(const InFlightDispatch& plan, absl::Duration now) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool TrySpend() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Degraded mode (dispatch_core_degraded.cc).
  /// Takes slots of lost units out of `slots` and gives up on them.
  void SkipLost(Slots& slots, std::vector<Completion>& completions)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Whether the unit has been without a holder long enough to do without it.
  bool IsLost(const placement::UnitKey& unit, absl::Duration now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Whether units may be left out now at all.
  bool MaySkip() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Connections or the placement have changed: units may have a holder again.
  void NoteHolders() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  /// Asks the shards what they hold when a slot has waited for a holder for a while.
  void SearchHolders(absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// A shard has said what it holds.
  void OnHolderFound(base::ShardId shard, std::vector<placement::UnitKey> units);

  // Links (dispatch_core.cc).
  std::optional<double> PriceOf(const placement::ShardInfo& info) const {
    return options_.price_per_second ? options_.price_per_second(info.node_share) : std::nullopt;
  }
  std::shared_ptr<ShardLink> OpenLink(const placement::ShardInfo& info);
  static void CloseLink(ShardLink& link);
  absl::Duration Now() const { return options_.clock->Monotonic(); }

  const Options options_;
  const std::uint64_t seed_;
  rpc::BufferPool pool_;
  rpc::CompletionQueuePoller poller_;
  base::Mutex placement_mutex_;  // serialises SetPlacement; taken before mutex_

  mutable base::Mutex mutex_;
  std::shared_ptr<const placement::PlacementMap> placement_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<base::ShardId, std::shared_ptr<ShardLink>> links_ ABSL_GUARDED_BY(mutex_);
  /// Of links that were closed, by name of the shard: as many as names have been seen.
  absl::flat_hash_map<std::string, ShardDispatchStats> past_counters_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::uint64_t, ActiveCall> calls_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::uint64_t, InFlight> in_flight_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t hedges_in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  RetryBudget budget_ ABSL_GUARDED_BY(mutex_);
  /// While shards are kept at their flow limits no hedge is sent: it would add to the overload.
  absl::Duration throttled_until_ ABSL_GUARDED_BY(mutex_);
  Slots waiting_ ABSL_GUARDED_BY(mutex_);
  absl::Duration retry_at_ ABSL_GUARDED_BY(mutex_);  // when `waiting_` is tried again
  bool searched_ ABSL_GUARDED_BY(mutex_) = false;    // a link has `found` units
  /// Degraded mode: whether all units have had a holder at one time, and since when rows have found
  /// none for a unit.
  bool was_complete_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_map<placement::UnitKey, absl::Duration> lost_since_ ABSL_GUARDED_BY(mutex_);
  std::set<absl::Duration> timers_ ABSL_GUARDED_BY(mutex_);  // when OnTimer will run
  std::uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 1;        // of calls and dispatches
  DispatchStats stats_ ABSL_GUARDED_BY(mutex_);              // only its counters
  UnitLoad load_ ABSL_GUARDED_BY(mutex_);

  base::Loop timer_loop_;
  HolderSearch search_;
};

}  // namespace moesaic::router
