#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/ids.h"
#include "placement/membership.h"
#include "placement/placement_problem.h"
#include "placement/shard_control.h"
#include "placement/view/placement_map.h"
#include "placement/wanted_placement.h"

namespace moesaic::placement {

/// How fast shards are brought to their assignment.
struct MovePolicy {
  std::uint32_t parallel_moves = 16;  ///< Shards that load or unload at the same time.
  /// Limit on what is loaded only to make things better, over all shards; 0 = none. What nobody
  /// holds, or too few do, is loaded at once.
  std::uint64_t move_bytes_per_s = 0;
  /// Most bytes of one load call: so often can a shard be told of something more urgent.
  std::uint64_t chunk_bytes = std::uint64_t{256} << 20;
  /// A call that has succeeded is reported by the shard within this time, or asked for again.
  absl::Duration report_within = absl::Seconds(1);
};

/// Units that loads and unloads have moved.
struct MovedUnits {
  std::uint64_t loaded = 0;
  std::uint64_t unloaded = 0;
  bool operator==(const MovedUnits&) const = default;
};

/// Loads and unloads that ended, of all shards.
struct MoveTotals {
  std::uint64_t loads_ok = 0;
  std::uint64_t loads_failed = 0;
  std::uint64_t unloads_ok = 0;
  std::uint64_t unloads_failed = 0;
  MovedUnits units;  ///< By those that were ok.
};

/// Brings shards to the assignment, make before break: it starts loads, urgent and hot units first,
/// and unloads what the published placement no longer names and all routers have let go. It holds
/// no plan: what is to be done is found anew from what shards report, so it can be interrupted at
/// any moment, and everything may be done twice. Single-thread, on the coordinator's loop.
class MoveExecutor {
 public:
  /// What moves are decided on. Borrowed for the call.
  struct View {
    const Membership& membership;
    const WantedPlacement& wanted;
    const PlacementMap* published;     ///< nullptr before the first.
    absl::Span<const UnitLoad> loads;  ///< [units], or empty.
    base::PlacementEpoch epoch;
    std::uint32_t replicas = 1;  ///< Live copies wanted of each unit.
    bool may_unload = false;     ///< All routers act on `published`, and removals are not frozen.
  };
  /// A load or unload ended; the member is still the process that was called.
  using Ended = std::function<void(const absl::Status&, const Member&)>;

  /// Borrows control, membership and clock. `ended` runs on the loop; errors are also remembered.
  MoveExecutor(MovePolicy policy, ShardControl& control, const Membership& membership,
               const base::Clock& clock, Ended ended);

  /// Starts what can be started now.
  void Start(const View& view);
  /// A shard has registered: what failed before may be tried again at once.
  void OnRegistered(base::ShardId shard);
  /// A shard has said what it holds.
  void OnReported(base::ShardId shard);
  /// Another model: all shards are new.
  void Reset() { progress_.clear(); }

  std::uint32_t in_flight() const { return in_flight_; }
  /// Why the shard's last load or unload failed; empty when it did not.
  const std::string& ProblemOf(base::ShardId shard) const;
  const MoveTotals& totals() const { return totals_; }
  /// The shard's part of them.
  MovedUnits MovedBy(base::ShardId shard) const;

 private:
  struct Progress {
    bool busy = false;                  // a load or unload is in flight
    bool loading = false;               // which of the two it is, or was last
    std::vector<std::uint32_t> moving;  // its units, ascending
    absl::Duration retry_at = -absl::InfiniteDuration();
    absl::Duration backoff = absl::ZeroDuration();
    std::string problem;
    MovedUnits moved;
  };

  bool StartLoad(const View& view, const Member& member);
  void StartUnload(const View& view, const Member& member);
  /// What the shard lacks, as much as fits and one call may load, in the order of loading.
  std::vector<std::uint32_t> NextLoads(const View& view, const Member& member) const;
  /// Live copies of a unit, up to the wanted number.
  std::uint32_t LiveCopies(const View& view, std::uint32_t unit) const;
  /// Notes a call that is about to start; what it returns is to be run when it has ended.
  ShardControl::Done Begin(const Member& member, bool loading, std::vector<std::uint32_t> units);
  /// Whether the shard's reports show what its last call did.
  static bool Shows(const Member& member, const Progress& progress);
  void Count(bool ok, Progress& progress);
  void OnDone(base::ShardId shard, std::uint64_t incarnation, const absl::Status& status);

  const MovePolicy policy_;
  ShardControl& control_;
  const Membership& membership_;
  const base::Clock& clock_;
  const Ended ended_;
  std::map<base::ShardId, Progress> progress_;
  std::uint32_t in_flight_ = 0;
  MoveTotals totals_;
  absl::Duration unhurried_at_ = -absl::InfiniteDuration();  // when `move_bytes_per_s` allows more
};

/// Units of `from` that are not in `without`; all ascending.
std::vector<std::uint32_t> UnitDifference(const std::vector<std::uint32_t>& from,
                                          const std::vector<std::uint32_t>& without);

}  // namespace moesaic::placement
