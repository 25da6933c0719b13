#include "placement/view/placement_holder.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace moesaic::placement {

std::shared_ptr<const PlacementMap> PlacementHolder::Current() const {
  base::MutexLock lock(mutex_);
  return current_;
}

absl::Status PlacementHolder::Adopt(std::shared_ptr<const PlacementMap> map) {
  std::shared_ptr<const PlacementMap> replaced;  // freed after the lock is released
  {
    base::MutexLock lock(mutex_);
    if (current_ != nullptr && map->epoch() == current_->epoch()) return absl::OkStatus();
    if (current_ != nullptr && map->epoch() < current_->epoch()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "placement epoch ", map->epoch().term, ".", map->epoch().version,
          " is older than the current ", current_->epoch().term, ".", current_->epoch().version));
    }
    replaced = std::exchange(current_, map);
  }
  for (Listener& listener : listeners_) listener(map);
  return absl::OkStatus();
}

void PlacementHolder::AddListener(Listener listener) { listeners_.push_back(std::move(listener)); }

}  // namespace moesaic::placement
