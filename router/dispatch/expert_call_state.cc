#include "router/dispatch/expert_call_state.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace moesaic::router {

ExpertCallState::ExpertCallState(std::uint64_t id, const ExpertCall& call, int unit_size, Done done)
    : id_(id),
      call_(call),
      slot_offsets_(call.slot_offsets.begin(), call.slot_offsets.end()),
      done_(std::move(done)) {
  MOESAIC_CHECK(!call.slot_offsets.empty());
  const auto tokens = static_cast<std::int32_t>(call.slot_offsets.size()) - 1;
  token_failed_.resize(tokens);
  outcome_.token_work.resize(tokens);
  slots_.reserve(call.slot_offsets.back());
  for (std::int32_t token = 0; token < tokens; ++token) {
    const auto first_slot = static_cast<std::int32_t>(slots_.size());
    MOESAIC_CHECK(first_slot == call.slot_offsets[token]);
    for (int k = 0; k < call.top_k; ++k) {
      const std::int32_t expert = call.expert_ids[token * call.top_k + k];
      if (expert < 0) continue;
      const base::UnitId unit(static_cast<std::uint32_t>(expert / unit_size));
      if (slot_count() == first_slot || slots_.back().unit != unit) {
        const auto at = static_cast<std::int32_t>(experts_.size());
        slots_.push_back({.token = token, .unit = unit, .first_assignment = at});
      }
      experts_.push_back(static_cast<std::uint32_t>(expert));
      weights_.push_back(call.weights[token * call.top_k + k]);
      slots_.back().end_assignment = static_cast<std::int32_t>(experts_.size());
    }
  }
  MOESAIC_CHECK(slot_count() == call.slot_offsets.back());
  unfinished_ = slot_count();
}

absl::Span<const std::uint32_t> ExpertCallState::experts_of(std::int32_t slot) const {
  const Slot& s = slots_[slot];
  return absl::MakeConstSpan(experts_).subspan(s.first_assignment,
                                               s.end_assignment - s.first_assignment);
}

absl::Span<const float> ExpertCallState::weights_of(std::int32_t slot) const {
  const Slot& s = slots_[slot];
  return absl::MakeConstSpan(weights_).subspan(s.first_assignment,
                                               s.end_assignment - s.first_assignment);
}

std::int32_t ExpertCallState::FindSlot(std::int32_t token, base::UnitId unit) const {
  const auto begin = slots_.begin() + slot_offsets_[token];
  const auto end = slots_.begin() + slot_offsets_[token + 1];
  const auto found = std::find_if(begin, end, [unit](const Slot& s) { return s.unit == unit; });
  return found == end ? -1 : static_cast<std::int32_t>(found - slots_.begin());
}

void ExpertCallState::Claim(std::int32_t slot) {
  MOESAIC_CHECK(IsOpen(slot));
  slots_[slot].state = State::kClaimed;
}

void ExpertCallState::AddWork(std::int32_t slot, double seconds,
                              std::optional<double> price_per_second) {
  TokenWork& work = outcome_.token_work[slots_[slot].token];
  work.seconds += static_cast<float>(seconds);
  if (price_per_second) {
    work.cost += static_cast<float>(seconds * *price_per_second);
  } else {
    work.unpriced_seconds += static_cast<float>(seconds);
  }
}

bool ExpertCallState::Disown(std::int32_t slot, std::uint64_t dispatch_id) {
  Slot& s = slots_[slot];
  if (s.owner == dispatch_id) s.owner = s.hedger;
  s.hedger = 0;
  s.retried = s.retried || s.owner == 0;
  return s.owner == 0;
}

void ExpertCallState::FailToken(std::int32_t token, absl::Status status) {
  for (std::int32_t s = slot_offsets_[token]; s < slot_offsets_[token + 1]; ++s) {
    if (!IsOpen(s)) continue;
    slots_[s].state = State::kFailed;
    --unfinished_;
  }
  if (token_failed_[token]) return;
  token_failed_[token] = true;
  outcome_.failures.push_back({token, std::move(status)});
}

void ExpertCallState::Skip(std::int32_t slot) {
  MOESAIC_CHECK(IsOpen(slot));
  slots_[slot].state = State::kSkipped;
  --unfinished_;
  outcome_.skipped_slots.push_back(slot);
}

bool ExpertCallState::Avoids(std::int32_t slot, base::ShardId shard) const {
  const auto found = avoid_.find(slot);
  return found != avoid_.end() &&
         std::find(found->second.begin(), found->second.end(), shard) != found->second.end();
}

bool ExpertCallState::TakeCompletion(Done& done, ExpertOutcome& outcome) {
  if (completed_ || unfinished_ > 0 || users_ > 0) return false;
  completed_ = true;
  std::sort(outcome_.failures.begin(), outcome_.failures.end(),
            [](const auto& a, const auto& b) { return a.token < b.token; });
  std::sort(outcome_.skipped_slots.begin(), outcome_.skipped_slots.end());
  done = std::move(done_);
  outcome = std::move(outcome_);
  return true;
}

}  // namespace moesaic::router
