#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/loop.h"
#include "base/mutex.h"
#include "router/dispatch/dispatch_plan.h"
#include "router/dispatch/expert_call_state.h"
#include "router/dispatch/expert_dispatcher.h"
#include "router/dispatch/shard_link.h"
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
  int unit_size() const { return static_cast<int>(options_.hello.model.unit_size); }

 private:
  class LaneHandler;
  /// A slot to be computed by somebody.
  struct SlotRef {
    std::shared_ptr<ExpertCallState> call;
    std::int32_t slot = 0;
  };
  using Slots = std::vector<SlotRef>;
  using Plan = std::shared_ptr<const InFlightDispatch>;
  struct Completion {
    ExpertCallState::Done done;
    ExpertOutcome outcome;
  };
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
  void OnReply(ShardLink& link, rpc::DispatchReply reply);
  void OnBroken(ShardLink& link, rpc::Lane lane, const absl::Status& status);
  /// Fails tokens whose time is over and asks again for slots that wait. `due`: the timer's own.
  void OnTimer(absl::Duration due);

  // Placing and sending (dispatch_core_send.cc).
  /// Plans and sends until every slot is either owed by a shard or waits.
  void PlaceAndSend(Slots slots);
  /// Asks again for what waits; also shards that refused it, when `forget_refusals`.
  void RetryWaiting(bool forget_refusals);
  std::vector<Plan> PlanDispatches(Slots slots) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::shared_ptr<ShardLink> ChooseLink(const SlotRef& ref, rpc::Lane lane)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Plans the messages of one call, shard and lane; what exceeds the shard's credit waits.
  void PlanMessages(const std::shared_ptr<ExpertCallState>& call,
                    const std::shared_ptr<ShardLink>& link, rpc::Lane lane,
                    const std::vector<std::int32_t>& slots, std::vector<Plan>& plans)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Forgets a dispatch; the slots it still owes are added to `slots`, without an owner.
  void Release(const InFlightDispatch& plan, Slots& slots) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
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
  /// Whether a shard that can be reached holds the unit.
  bool HasLiveHolder(base::LayerId layer, base::UnitId unit) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Forgets dispatches nobody waits for and returns whom to tell.
  std::vector<Plan> TakeUnwanted() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ArmTimer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Takes a finished call out; its callback is run by RunCompletions, outside the lock.
  void CompleteIfDone(const std::shared_ptr<ExpertCallState>& call,
                      std::vector<Completion>& completions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void RunCompletions(std::vector<Completion> completions);

  // Links (dispatch_core.cc).
  std::shared_ptr<ShardLink> OpenLink(const placement::ShardInfo& info);
  static void CloseLink(ShardLink& link);
  absl::Duration Now() const { return options_.clock->Monotonic(); }

  const Options options_;
  rpc::BufferPool pool_;
  rpc::CompletionQueuePoller poller_;
  base::Mutex placement_mutex_;  // serialises SetPlacement; taken before mutex_

  mutable base::Mutex mutex_;
  std::shared_ptr<const placement::PlacementMap> placement_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<base::ShardId, std::shared_ptr<ShardLink>> links_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::uint64_t, ActiveCall> calls_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::uint64_t, Plan> in_flight_ ABSL_GUARDED_BY(mutex_);
  Slots waiting_ ABSL_GUARDED_BY(mutex_);
  std::set<absl::Duration> timers_ ABSL_GUARDED_BY(mutex_);  // when OnTimer will run
  std::uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 1;        // of calls and dispatches
  DispatchStats stats_ ABSL_GUARDED_BY(mutex_);              // only its counters

  base::Loop timer_loop_;
};

}  // namespace moesaic::router
