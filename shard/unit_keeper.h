#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/mutex.h"
#include "placement/view/topology.h"
#include "shard/expert_store.h"

namespace moesaic::shard {

/// Carries out what coordinators tell a shard to hold: refuses lower terms, loads and unloads,
/// remembers the assignment in a file, and knows whether the shard is ready to serve. Thread-safe.
class UnitKeeper {
 public:
  struct Options {
    placement::ModelIdentity model;
    std::string state_path;  ///< File of the remembered assignment; empty = remember nothing.
    /// How often `changed` is called at most while units are being loaded: a report lists all of
    /// them, so one per unit would grow with the square.
    absl::Duration progress_interval = absl::Milliseconds(200);
  };

  /// `changed` is called, on the thread that made the change, when the units held or the readiness
  /// changed; it must be short. All borrowed.
  UnitKeeper(Options options, ExpertStore& store, const base::Clock& clock,
             std::function<void()> changed);

  /// Loads the remembered assignment, as far as there is one for this model and it fits. Until this
  /// has returned the shard is not ready. To be called once.
  void Restore();

  /// Errors: FailedPrecondition naming both terms when `epoch` is of a lower term than the highest
  /// seen; those of ExpertStore::Load.
  absl::Status Load(base::PlacementEpoch epoch, const std::vector<placement::UnitKey>& units);
  absl::Status Unload(base::PlacementEpoch epoch, const std::vector<placement::UnitKey>& units);
  /// Notes what a coordinator says its epoch is. Errors: as Load for a lower term.
  absl::Status NoteEpoch(base::PlacementEpoch epoch);

  /// Highest epoch told.
  base::PlacementEpoch epoch() const;
  /// The assigned units are loaded, and there is at least one. Units added later do not take this
  /// away while they load: those held before go on serving.
  bool ready() const;

 private:
  /// Recomputes readiness, remembers the assignment, tells `changed`.
  void Settle();
  void Remember();

  const Options options_;
  ExpertStore& store_;
  const base::Clock& clock_;
  const std::function<void()> changed_;

  base::Mutex file_mutex_;  // taken alone; orders writes of the file
  mutable base::Mutex mutex_;
  base::PlacementEpoch epoch_ ABSL_GUARDED_BY(mutex_);
  bool restored_ ABSL_GUARDED_BY(mutex_);
  bool ready_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace moesaic::shard
