#include "shard/unit_keeper.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "shard/assignment_file.h"

namespace moesaic::shard {

using placement::UnitKey;

UnitKeeper::UnitKeeper(Options options, ExpertStore& store, const base::Clock& clock,
                       std::function<void()> changed)
    : options_(std::move(options)),
      store_(store),
      clock_(clock),
      changed_(std::move(changed)),
      restored_(options_.state_path.empty()) {}

void UnitKeeper::Restore() {
  if (options_.state_path.empty()) return;
  absl::Status restored = absl::OkStatus();
  auto remembered = LoadAssignment(options_.state_path, options_.model, store_.topology());
  if (remembered.ok()) {
    {
      base::MutexLock lock(mutex_);
      epoch_ = std::max(epoch_, remembered->epoch);
    }
    restored = store_.Load(remembered->units);
  } else if (!absl::IsNotFound(remembered.status())) {
    restored = remembered.status();
  }
  if (!restored.ok()) base::LogWarning("remembered assignment not used: ", restored.ToString());
  {
    base::MutexLock lock(mutex_);
    restored_ = true;
  }
  if (!absl::IsCancelled(restored)) Settle();
}

absl::Status UnitKeeper::Load(base::PlacementEpoch epoch, const std::vector<UnitKey>& units) {
  MOESAIC_RETURN_IF_ERROR(NoteEpoch(epoch));
  absl::Duration reported = clock_.Monotonic();
  const absl::Status loaded = store_.Load(units, [&] {
    const absl::Duration now = clock_.Monotonic();
    if (now - reported < options_.progress_interval) return;
    reported = now;
    changed_();
  });
  if (!absl::IsCancelled(loaded)) Settle();
  return loaded;
}

absl::Status UnitKeeper::Unload(base::PlacementEpoch epoch, const std::vector<UnitKey>& units) {
  MOESAIC_RETURN_IF_ERROR(NoteEpoch(epoch));
  store_.Unload(units);
  Settle();
  return absl::OkStatus();
}

absl::Status UnitKeeper::NoteEpoch(base::PlacementEpoch epoch) {
  base::MutexLock lock(mutex_);
  if (epoch.term < epoch_.term) {
    return absl::FailedPreconditionError(
        absl::StrCat("term ", epoch.term, " is below the highest seen, ", epoch_.term));
  }
  epoch_ = std::max(epoch_, epoch);
  return absl::OkStatus();
}

base::PlacementEpoch UnitKeeper::epoch() const {
  base::MutexLock lock(mutex_);
  return epoch_;
}

bool UnitKeeper::ready() const {
  base::MutexLock lock(mutex_);
  return ready_;
}

void UnitKeeper::Settle() {
  const bool any = store_.held_bytes() > 0;
  {
    base::MutexLock lock(mutex_);
    ready_ = restored_ && any;
  }
  Remember();
  changed_();
}

void UnitKeeper::Remember() {
  if (options_.state_path.empty()) return;
  base::MutexLock lock(file_mutex_);
  const absl::Status saved = SaveAssignment(
      options_.state_path, {.model = options_.model, .epoch = epoch(), .units = store_.Held()});
  if (!saved.ok()) base::LogWarning("assignment not remembered: ", saved.ToString());
}

}  // namespace moesaic::shard
