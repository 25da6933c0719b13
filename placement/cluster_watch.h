#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/time/time.h"
#include "base/ids.h"
#include "placement/event_log.h"
#include "placement/membership.h"
#include "placement/move_executor.h"
#include "placement/view/router_load.h"
#include "placement/wanted_placement.h"

namespace moesaic::placement {

/// Puts into words what changes in a cluster: it compares what it is shown with what it was shown
/// last, so that nobody who changes something must think of telling. Single-thread.
class ClusterWatch {
 public:
  /// What it is shown. Borrowed for the call.
  struct View {
    const Membership& membership;
    const WantedPlacement& wanted;
    const MoveExecutor& moves;
    const std::map<SessionId, std::string>& routers;  ///< Names of those connected.
    bool frozen = false;                              ///< No replica is taken away.
  };

  /// Adds what has changed since the last call.
  void Look(absl::Duration now, const View& view, EventLog& log);
  /// A router reports: what it sent twice is told of about twice a minute.
  void OnRouterLoad(const std::string& router, const RouterLoad& load);

 private:
  struct Seen {
    Member::State state = Member::State::kExpired;
    std::uint64_t incarnation = 0;
    bool draining = false;
    MovedUnits moved;  // as of the last event about it
  };
  struct SentTwice {
    std::uint64_t hedges = 0;
    std::uint64_t retried_units = 0;
    absl::Duration told_at = -absl::InfiniteDuration();
  };

  void LookAtShards(absl::Duration now, const View& view, EventLog& log);
  void LookAtRouters(absl::Duration now, const View& view, EventLog& log);
  void TellSentTwice(absl::Duration now, EventLog& log);

  std::map<base::ShardId, Seen> shards_;
  std::map<SessionId, std::string> routers_;
  std::map<std::string, SentTwice> sent_twice_;
  bool frozen_ = false;
};

}  // namespace moesaic::placement
