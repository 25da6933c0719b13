#include "router/dispatch/dispatch_core.h"

namespace moesaic::router {
namespace {

bool Connected(const ShardLink& link) {
  return link.stream(rpc::Lane::kDecode).connected || link.stream(rpc::Lane::kPrefill).connected;
}

}  // namespace

void ExpertDispatcher::Impl::SkipLost(Slots& slots, std::vector<Completion>& completions) {
  if (!MaySkip()) return;
  const absl::Duration now = Now();
  Slots kept;
  kept.reserve(slots.size());
  for (SlotRef& ref : slots) {
    const placement::UnitKey unit{ref.call->call().layer, ref.call->unit_of(ref.slot)};
    const bool wanted = ref.call->IsOpen(ref.slot) && ref.call->owner(ref.slot) == 0;
    if (!wanted || !IsLost(unit, now)) {
      kept.push_back(std::move(ref));
      continue;
    }
    ref.call->Skip(ref.slot);
    ++stats_.skipped_units;
    CompleteIfDone(ref.call, completions);
  }
  slots = std::move(kept);
}

bool ExpertDispatcher::Impl::IsLost(const placement::UnitKey& unit, absl::Duration now) {
  if (AnyHolder(unit, Connected)) return false;
  // By unit, not by row: else every MoE layer of every token would wait anew for the same loss.
  const absl::Duration since = lost_since_.try_emplace(unit, now).first->second;
  return now - since >= options_.skip_lost_after;
}

bool ExpertDispatcher::Impl::MaySkip() const {
  // What has never been complete is starting, not degraded. Without any shard nothing would be left
  // to renormalise over.
  if (!was_complete_) return false;
  for (const auto& [id, link] : links_) {
    if (Connected(*link)) return true;
  }
  return false;
}

void ExpertDispatcher::Impl::NoteHolders() {
  if (options_.skip_lost_after == absl::InfiniteDuration()) return;
  if (!was_complete_) was_complete_ = AllUnitsHeld().ok();
  for (auto lost = lost_since_.begin(); lost != lost_since_.end();) {
    const auto unit = lost++;
    if (AnyHolder(unit->first, Connected)) lost_since_.erase(unit);
  }
}

}  // namespace moesaic::router
