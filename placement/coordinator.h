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
#include "placement/cluster_load.h"
#include "placement/cluster_watch.h"
#include "placement/event_log.h"
#include "placement/load_statistics.h"
#include "placement/membership.h"
#include "placement/move_executor.h"
#include "placement/placement_policy.h"
#include "placement/placement_problem.h"
#include "placement/removal_guard.h"
#include "placement/shard_control.h"
#include "placement/view/placement_map.h"
#include "placement/view/router_description.h"
#include "placement/view/router_load.h"
#include "placement/wanted_placement.h"

namespace moesaic::placement {

/// How a coordinator decides. The defaults suit one machine as well as a cluster.
struct CoordinatorPolicy {
  std::uint32_t replicas = 1;  ///< Live copies wanted of each unit.
  /// Shards wanted. First assignment when so many have come; 0 = by `settle`.
  std::uint32_t expect_shards = 0;
  /// Shards that come are given units when none has come for this long. Above the longest pause of
  /// a shard between two attempts to register (1 s, and 1 s of the channel's), so that a restarted
  /// coordinator sees all of them before it speaks.
  absl::Duration settle = absl::Seconds(3);
  /// The same once a lease has passed since the coordinator came, when it knows who is there: long
  /// enough that shards started together are given units in one go.
  absl::Duration settle_newcomers = absl::Milliseconds(500);
  /// Upper limit on the wait for `expect_shards`.
  absl::Duration expect_timeout = absl::Seconds(30);
  absl::Duration lease = absl::Seconds(10);     ///< A silent shard is gone after this.
  absl::Duration heartbeat = absl::Seconds(1);  ///< Shards report this often.
  /// A unit whose last holders broke off this long ago is loaded elsewhere, without waiting for
  /// their leases to end. Above the time in which a cut connection is up again.
  absl::Duration emergency_after = absl::Milliseconds(500);
  /// A better placement is looked for this often; zero = only when shards come and go.
  absl::Duration rebalance_interval = absl::Seconds(30);
  /// Loads are averaged over about this time.
  absl::Duration load_time_constant = absl::Seconds(60);
  MovePolicy moves = {};
  PlacementPolicy placement = PlacementPolicy::kPredictedTime;
  BalanceOptions balance = {};
};

/// The coordinator's state and decisions: who is there, who should hold what, what is published.
/// The policy decides who should hold what, MoveExecutor brings it about make before break: load,
/// publish, wait until every router has adopted it, then unload elsewhere. All of it is soft state,
/// rebuilt from what shards and routers report. Single-thread: everything happens on one loop, and
/// Advance is called after a while.
class Coordinator {
 public:
  /// What a shard is told through its session.
  struct Directive {
    base::ShardId shard;
    absl::Duration lease;
    absl::Duration heartbeat;
    base::PlacementEpoch epoch;
    bool evacuate = false;
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
    RouterDescription description;
    RouterLoad load = {};           ///< Its last report.
    double busy_seconds_total = 0;  ///< Computed in this session.
  };
  /// What has been counted since the start.
  struct Counts {
    // Times a new placement was decided, by what led to it.
    std::uint64_t rebalances_by_membership = 0;
    std::uint64_t rebalances_by_load = 0;
    std::uint64_t rebalances_by_request = 0;
    std::uint64_t rebalances_by_emergency = 0;
    std::uint64_t shards_lost = 0;  ///< Leases that ended without a farewell.
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
                         base::PlacementEpoch acknowledged, RouterLink link,
                         RouterDescription description = {});
  void Acknowledge(SessionId session, base::PlacementEpoch epoch);
  /// A router says what it had computed. Errors: InvalidArgument naming what contradicts the model;
  /// the report is then ignored.
  absl::Status TakeLoad(SessionId session, const v1::LoadReport& report);
  void RemoveRouter(SessionId session);

  /// Has others take over what the shard holds, or ends that. Errors: NotFound for an unknown or
  /// expired shard.
  absl::StatusOr<const Member*> Evacuate(const std::string& shard, bool evacuate);
  /// Another number of shards is wanted from now on; who wants it, starts and ends them.
  void Expect(std::uint32_t shards);
  /// A placement that could be brought about now, and what led to it. Errors: FailedPrecondition
  /// while there is no shard.
  struct Plan {
    PlacementProblem problem;
    PlacementDecision decision;
  };
  absl::StatusOr<Plan> MakePlan() const;
  /// What placements are decided on now. Requires: membership().model().
  PlacementProblem MakeProblem() const;
  /// Assigns what MakePlan decides, now.
  void Rebalance();

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
  /// The same in numbers.
  const PlacementShortfall& shortfall() const { return shortfall_; }
  const WantedPlacement& wanted() const { return wanted_; }
  /// Whether shards have come or gone since the last assignment.
  bool assignment_pending() const { return !assigned_once_ || assignment_due_.has_value(); }
  const MoveExecutor& moves() const { return moves_; }
  const LoadStatistics& loads() const { return loads_; }
  const ClusterLoad& cluster_load() const { return cluster_load_; }
  const EventLog& events() const { return events_; }
  const Counts& counts() const { return counts_; }
  /// Whether removals are frozen because too many leases ended at once.
  bool frozen() const { return guard_.frozen(); }
  /// Whether the member is live and at work: it serves what it holds.
  static bool Serves(const Member& member) {
    return member.state == Member::State::kLive && !member.draining && !member.held.empty();
  }
  /// Whether every shard that is given units holds just what it should.
  bool AtWanted() const;
  absl::Duration now() const { return clock_.Monotonic(); }

 private:
  /// The cluster computes another model from now on (all shards of the old one are gone).
  void StartOver();
  /// Goes above an epoch that somebody else has seen and we have not given out.
  void Outrank(base::PlacementEpoch theirs);
  void ExpireLeases(absl::Duration now);
  bool AssignmentDue(absl::Duration now) const;
  bool RebalanceDue(absl::Duration now) const;
  /// Whether the shard is given units.
  bool Placeable(const Member& member, absl::Duration now) const;
  /// `count` is what is counted when it changes anything.
  void Assign(absl::Duration now, std::uint64_t& count);
  void Watch(absl::Duration now);
  /// Has units loaded elsewhere whose last holders broke off a moment ago.
  void CoverLostUnits(absl::Duration now);
  void StartMoves();
  void OnMoved(const absl::Status& status, const Member& member);
  void SendDirective(const Member& member) const;
  void EndShard(SessionId session, absl::Status status);

  // What is published (coordinator_publish.cc).
  /// Whether every shard that should hold the unit is live and does, and there is at least one.
  bool Settled(std::uint32_t unit) const;
  /// Whether all connected routers act on the published placement.
  bool AllRoutersCaughtUp() const;
  PlacementMap::Parts MakeParts() const;
  /// Takes from `parts` those holders that are to give their unit up and may.
  void LeaveOutLeaving(PlacementMap::Parts& parts) const;
  void PublishIfChanged(absl::Duration now);
  void Publish(PlacementMap::Parts parts, absl::Duration now);

  CoordinatorPolicy policy_;
  const base::Clock& clock_;
  const absl::Duration started_;

  RemovalGuard guard_;
  Membership membership_;
  std::map<SessionId, ShardLink> shard_links_;
  std::map<SessionId, Router> routers_;
  LoadStatistics loads_;
  WantedPlacement wanted_;
  std::vector<UnitLoad> assigned_loads_;  // [units] that `wanted_` was made for, or empty
  MoveExecutor moves_;
  ClusterLoad cluster_load_;
  EventLog events_;
  ClusterWatch watch_;
  Counts counts_;
  std::vector<std::string> warnings_;
  PlacementShortfall shortfall_;

  base::PlacementEpoch epoch_{.term = 1, .version = 0};
  std::shared_ptr<const PlacementMap> published_;
  absl::Duration published_at_ = -absl::InfiniteDuration();
  bool assigned_once_ = false;
  std::optional<absl::Duration> assignment_due_;  // nullopt = nothing has changed
  absl::Duration rebalance_at_;
};

}  // namespace moesaic::placement
