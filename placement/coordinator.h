#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/ids.h"
#include "placement/membership.h"
#include "placement/place_by_predicted_time.h"
#include "placement/removal_guard.h"
#include "placement/shard_control.h"
#include "placement/view/placement_map.h"

namespace moesaic::placement {

/// How a coordinator decides. The defaults suit one machine as well as a cluster.
struct CoordinatorPolicy {
  std::uint32_t replicas = 1;       ///< Live copies wanted of each unit.
  std::uint32_t expect_shards = 0;  ///< First assignment when so many have come; 0 = by `settle`.
  /// Shards that come are given units when none has come for this long. Above the longest pause of
  /// a shard between two attempts to register (1 s, and 1 s of the channel's), so that a restarted
  /// coordinator sees all of them before it speaks.
  absl::Duration settle = absl::Seconds(3);
  /// Upper limit on the wait for `expect_shards`.
  absl::Duration expect_timeout = absl::Seconds(30);
  absl::Duration lease = absl::Seconds(10);     ///< A silent shard is gone after this.
  absl::Duration heartbeat = absl::Seconds(1);  ///< Shards report this often.
  std::uint32_t parallel_moves = 16;            ///< Shards that load or unload at the same time.
};

/// The coordinator's state and decisions: who is there, who should hold what, what is published.
/// It brings shards to the assignment make before break: load, publish, wait until every router has
/// adopted it, then unload elsewhere. All of it is soft state, rebuilt from what shards and routers
/// report. Single-thread: everything happens on one loop, and Advance is called after a while.
class Coordinator {
 public:
  /// What a shard is told through its session.
  struct Directive {
    base::ShardId shard;
    absl::Duration lease;
    absl::Duration heartbeat;
    base::PlacementEpoch epoch;
  };
  /// A shard's session: where directives go, and how it is ended.
  struct ShardLink {
    std::function<void(const Directive&)> send;
    std::function<void(absl::Status)> end;
  };
  /// A router's session: where placements go, and how it is ended.
  struct RouterLink {
    std::function<void(std::shared_ptr<const PlacementMap>)> send;
    std::function<void(absl::Status)> end;
  };
  struct Router {
    std::string name;
    ModelIdentity model;
    base::PlacementEpoch acknowledged;
    RouterLink link;
  };

  /// All borrowed.
  Coordinator(CoordinatorPolicy policy, ShardControl& control, const base::Clock& clock);

  /// A shard registers. Errors: those of Membership::Register; the session is then the caller's to
  /// end.
  absl::Status AddShard(SessionId session, ShardDescription description, ShardNews news,
                        ShardLink link);
  /// A shard reports. Errors end its session: InvalidArgument for a unit that does not exist.
  absl::Status Report(SessionId session, ShardNews news);
  void RemoveShard(SessionId session);

  /// A router follows placements; it gets the current one at once, if there is one.
  /// Errors: InvalidArgument without a name; FailedPrecondition naming both values for a router of
  /// another model.
  absl::Status AddRouter(SessionId session, std::string name, ModelIdentity model,
                         base::PlacementEpoch acknowledged, RouterLink link);
  void Acknowledge(SessionId session, base::PlacementEpoch epoch);
  void RemoveRouter(SessionId session);

  /// Does what time has made due: leases, assignment, moves, publication. Call it every few dozen
  /// milliseconds; the calls above call it themselves.
  void Advance();

  const CoordinatorPolicy& policy() const { return policy_; }
  const Membership& membership() const { return membership_; }
  const std::map<SessionId, Router>& routers() const { return routers_; }
  base::PlacementEpoch epoch() const { return epoch_; }
  /// The published placement; nullptr before the first.
  const std::shared_ptr<const PlacementMap>& published() const { return published_; }
  /// What the last assignment could not satisfy.
  const std::vector<std::string>& warnings() const { return warnings_; }
  /// Unit numbers the shard should hold, ascending; empty when it has no assignment.
  const std::vector<std::uint32_t>& AssignedTo(base::ShardId shard) const;
  /// Why the shard's last load or unload failed; empty when it did not.
  const std::string& ProblemOf(base::ShardId shard) const;

 private:
  /// How far a shard is on the way to its assignment.
  struct Progress {
    std::vector<std::uint32_t> assigned;  // ascending
    bool busy = false;                    // a load or unload is in flight
    absl::Duration retry_at = -absl::InfiniteDuration();
    absl::Duration backoff = absl::ZeroDuration();
    std::string problem;
  };

  /// The cluster computes another model from now on (all shards of the old one are gone).
  void StartOver();
  /// Goes above an epoch that somebody else has seen and we have not given out.
  void Outrank(base::PlacementEpoch theirs);
  void ExpireLeases(absl::Duration now);
  bool AssignmentDue(absl::Duration now) const;
  void Assign();
  void StartMoves(absl::Duration now);
  bool StartLoad(const Member& member, Progress& progress);
  bool StartUnload(const Member& member, Progress& progress);
  void Moved(base::ShardId shard, std::uint64_t incarnation, absl::Status status);
  /// Whether every shard that should hold the unit does, and there is at least one.
  bool Settled(std::uint32_t unit) const;
  bool Holds(const Member& member, std::uint32_t unit) const;
  /// Whether all connected routers act on the published placement.
  bool AllRoutersCaughtUp() const;
  PlacementMap::Parts MakeParts() const;
  void PublishIfChanged(absl::Duration now);
  void Publish(PlacementMap::Parts parts, absl::Duration now);
  void SendDirective(const Member& member) const;
  void EndShard(SessionId session, absl::Status status);
  std::vector<UnitKey> KeysOf(const std::vector<std::uint32_t>& units) const;

  const CoordinatorPolicy policy_;
  ShardControl& control_;
  const base::Clock& clock_;
  const absl::Duration started_;

  RemovalGuard guard_;
  Membership membership_;
  std::map<SessionId, ShardLink> shard_links_;
  std::map<SessionId, Router> routers_;
  std::map<base::ShardId, Progress> progress_;
  std::vector<std::vector<base::ShardId>> wanted_holders_;  // [units] by the assignment
  std::uint32_t moves_in_flight_ = 0;
  std::vector<std::string> warnings_;

  base::PlacementEpoch epoch_{.term = 1, .version = 0};
  std::shared_ptr<const PlacementMap> published_;
  absl::Duration published_at_ = -absl::InfiniteDuration();
  bool assigned_once_ = false;
  std::optional<absl::Duration> assignment_due_;  // nullopt = nothing has changed
};

}  // namespace moesaic::placement
