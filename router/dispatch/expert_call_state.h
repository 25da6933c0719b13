#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/functional/any_invocable.h"
#include "base/ids.h"
#include "router/engine/expert_backend.h"

namespace moesaic::router {

/// One ExpertCall on its way: which slots are open, who owes them, and which tokens failed. The
/// first group of accessors is immutable after construction; the rest is guarded by the
/// dispatcher's lock (thread-compatible).
class ExpertCallState {
 public:
  using Done = absl::AnyInvocable<void(ExpertOutcome)>;

  /// Requires: slot_offsets has a slot per distinct unit of each token.
  ExpertCallState(std::uint64_t id, const ExpertCall& call, int unit_size, Done done);

  std::uint64_t id() const { return id_; }
  const ExpertCall& call() const { return call_; }
  std::int32_t slot_count() const { return static_cast<std::int32_t>(slots_.size()); }
  std::int32_t token_of(std::int32_t slot) const { return slots_[slot].token; }
  base::UnitId unit_of(std::int32_t slot) const { return slots_[slot].unit; }
  /// Experts of the slot's unit that the token goes through, ascending.
  absl::Span<const std::uint32_t> experts_of(std::int32_t slot) const;
  absl::Span<const float> weights_of(std::int32_t slot) const;
  /// The slot of (token, unit); -1 when the token does not touch the unit.
  std::int32_t FindSlot(std::int32_t token, base::UnitId unit) const;

  /// True while nobody has answered the slot and its token is wanted.
  bool IsOpen(std::int32_t slot) const { return slots_[slot].state == State::kOpen; }
  /// The dispatch that owes an open slot; 0 = none, it waits for a replica.
  std::uint64_t owner(std::int32_t slot) const { return slots_[slot].owner; }
  void SetOwner(std::int32_t slot, std::uint64_t dispatch_id) { slots_[slot].owner = dispatch_id; }
  /// A second dispatch that was sent for an owned slot, to another shard; 0 = none. Whichever
  /// answers first fills the slot: the bits are the same.
  std::uint64_t hedger(std::int32_t slot) const { return slots_[slot].hedger; }
  void SetHedger(std::int32_t slot, std::uint64_t dispatch_id) {
    slots_[slot].hedger = dispatch_id;
  }
  /// Whether an answer of that dispatch for the slot is wanted.
  bool Owes(std::int32_t slot, std::uint64_t dispatch_id) const {
    const Slot& s = slots_[slot];
    return IsOpen(slot) && (s.owner == dispatch_id || s.hedger == dispatch_id);
  }
  /// Whether the slot had been sent before, and came to nothing.
  bool retried(std::int32_t slot) const { return slots_[slot].retried; }
  /// A dispatch that owes the slot no longer does. True when nobody else does either.
  bool Disown(std::int32_t slot, std::uint64_t dispatch_id);

  /// An answer for an open slot is about to be copied: later ones are late.
  void Claim(std::int32_t slot);
  /// Adds the machine time of answering a slot to what its token has cost.
  void AddWork(std::int32_t slot, double seconds, std::optional<double> price_per_second);
  /// The claimed slots of one reply have been copied, which had waited and taken so long in the
  /// shard.
  void Filled(std::int32_t slots, absl::Duration queue_wait, absl::Duration compute) {
    unfinished_ -= slots;
    outcome_.last_queue_wait = queue_wait;
    outcome_.last_compute = compute;
  }
  /// Gives up on a token's open slots. The first status of a token counts.
  void FailToken(std::int32_t token, absl::Status status);
  /// Gives up on one open slot: its token goes on without it.
  void Skip(std::int32_t slot);

  /// Shards that refused the slot since it last waited: not to be asked again at once.
  void Avoid(std::int32_t slot, base::ShardId shard) { avoid_[slot].push_back(shard); }
  bool Avoids(std::int32_t slot, base::ShardId shard) const;
  void ForgetAvoided(std::int32_t slot) { avoid_.erase(slot); }

  /// A thread reads or writes the call's memory outside the lock between these two.
  void BeginUse() { ++users_; }
  void EndUse() { --users_; }

  /// True once: every slot is settled and no thread uses the call's memory.
  bool TakeCompletion(Done& done, ExpertOutcome& outcome);

 private:
  enum class State : std::uint8_t { kOpen, kClaimed, kFailed, kSkipped };
  struct Slot {
    std::int32_t token = 0;
    base::UnitId unit;
    std::int32_t first_assignment = 0;
    std::int32_t end_assignment = 0;
    State state = State::kOpen;
    bool retried = false;
    std::uint64_t owner = 0;
    std::uint64_t hedger = 0;
  };

  const std::uint64_t id_;
  const ExpertCall call_;
  // [tokens + 1], our own: late replies are looked up when the caller's memory is gone.
  const std::vector<std::int32_t> slot_offsets_;
  std::vector<std::uint32_t> experts_;  // [assignments], skipped entries left out
  std::vector<float> weights_;          // [assignments]

  std::vector<Slot> slots_;
  std::int32_t unfinished_ = 0;  // slots open or being copied
  int users_ = 0;
  std::vector<bool> token_failed_;
  ExpertOutcome outcome_;
  absl::flat_hash_map<std::int32_t, absl::InlinedVector<base::ShardId, 2>> avoid_;
  Done done_;
  bool completed_ = false;
};

}  // namespace moesaic::router
