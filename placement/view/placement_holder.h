#pragma once

#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/mutex.h"
#include "placement/view/placement_map.h"

namespace moesaic::placement {

/// The placement a process acts on: swapped as a whole, never back to an older epoch. Current is
/// thread-safe; Adopt and AddListener belong to one thread at a time (a PlacementWatcher's).
class PlacementHolder {
 public:
  using Listener = absl::AnyInvocable<void(std::shared_ptr<const PlacementMap>)>;

  /// The newest placement adopted; nullptr before the first.
  std::shared_ptr<const PlacementMap> Current() const;

  /// Adopts `map` when its epoch is above the current one, then calls the listeners on this thread.
  /// The epoch already held is OK and changes nothing.
  /// Errors: FailedPrecondition naming both epochs when `map` is older.
  absl::Status Adopt(std::shared_ptr<const PlacementMap> map);

  /// `listener` hears of every later adoption. It must be short (post to a loop), and what it
  /// refers to must outlive the last Adopt.
  void AddListener(Listener listener);

 private:
  std::vector<Listener> listeners_;  // touched by the adopting thread alone
  mutable base::Mutex mutex_;
  std::shared_ptr<const PlacementMap> current_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace moesaic::placement
