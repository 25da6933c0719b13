#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/ids.h"
#include "monitoring/node_share.h"
#include "placement/view/topology.h"

namespace moesaic::placement {

/// Names one Register or WatchPlacement stream; never reused, never 0.
using SessionId = std::uint64_t;

/// What a shard is. Fixed for the life of its process.
struct ShardDescription {
  std::string name;
  std::string address;
  std::uint64_t incarnation = 0;
  ModelIdentity model;
  ExpertTopology topology;
  std::uint64_t memory_bytes = 0;
  std::string node;
  std::string zone;
  monitoring::NodeShare node_share;
  std::string http_address;  ///< host:port of its /metrics; empty = none.
  std::string device_kind;
  double us_per_row = 0;
  double us_per_expert = 0;
  std::string build;
};

/// What a shard says of its state.
struct ShardNews {
  base::PlacementEpoch epoch;
  std::optional<std::vector<std::uint32_t>>
      held;  ///< Unit numbers, ascending; nullopt = as before.
  std::uint64_t held_bytes = 0;
  bool draining = false;
  bool evacuating = false;  ///< Only heard at registration: afterwards it repeats what we say.
  std::uint64_t expert_rows_total = 0;
  double busy_seconds_total = 0;  ///< Computed since its process started.
  double us_per_row = 0;          ///< As measured while serving; 0 = not measured.
  double us_per_expert = 0;       ///< As measured while serving; 0 = not measured.
};

/// A shard the coordinator knows.
struct Member {
  enum class State {
    kLive,     ///< Its stream is up and not silent.
    kSuspect,  ///< Its stream broke; its lease still runs.
    kExpired,  ///< Gone. Remembered for its number and for people.
  };
  base::ShardId id;  ///< Belongs to the name, over incarnations.
  ShardDescription description;
  State state = State::kLive;
  SessionId session = 0;         ///< 0 unless kLive.
  absl::Duration suspect_since;  ///< While kSuspect.
  absl::Duration last_heard;
  std::vector<std::uint32_t> held;  ///< Unit numbers, ascending; empty once expired.
  std::uint64_t held_bytes = 0;
  bool draining = false;    ///< It takes no new work.
  bool evacuating = false;  ///< It serves, but others are to take over what it holds.
  std::uint64_t expert_rows_total = 0;
  double busy_seconds_total = 0;
  double busy_ratio = 0;      ///< Share of the time it computed, over about ten seconds, 0 to 1.
  double us_per_row = 0;      ///< Measured while serving, or else when it started; 0 = neither.
  double us_per_expert = 0;   ///< The same.
  bool speed_served = false;  ///< They were measured while serving.
};

/// Who is in the cluster, by leases: a shard is a member until it has been silent for a lease. All
/// members compute the same model; the first one decides which. Pure: time is passed in.
/// Single-thread.
class Membership {
 public:
  explicit Membership(absl::Duration lease) : lease_(lease) {}

  struct Registered {
    base::ShardId id;
    SessionId replaced = 0;  ///< Session that the name had before and that is to be ended; or 0.
  };
  /// Takes a shard in, or takes it back under its old number.
  /// Errors: InvalidArgument for a description without name, address or memory, or a unit that does
  /// not exist; FailedPrecondition naming both values when the model or its topology differs;
  /// ResourceExhausted beyond 4096 names.
  absl::StatusOr<Registered> Register(absl::Duration now, SessionId session,
                                      ShardDescription description, ShardNews news);
  /// Takes a heartbeat. Returns whether what is held, or draining, changed; false for a session
  /// that is not a member's (any more).
  /// Errors: InvalidArgument for a unit that does not exist.
  absl::StatusOr<bool> Report(absl::Duration now, SessionId session, ShardNews news);
  /// The stream ended: the shard is suspect until its lease ends; one that was leaving and held
  /// nothing has left.
  void Disconnect(absl::Duration now, SessionId session);
  /// Whether the shard's units are to go to others. Requires: it is a member.
  void SetEvacuating(base::ShardId id, bool evacuating) { members_.at(id).evacuating = evacuating; }
  /// Expires silent members. Returns them; the sessions of those still connected are to be ended.
  struct Expiry {
    base::ShardId id;
    SessionId session = 0;  ///< 0 when it had none.
  };
  std::vector<Expiry> Expire(absl::Duration now);

  /// Begins every present member's lease anew: it was we who did not listen.
  void Forgive(absl::Duration now);
  /// Whether the member's lease is over, expired or not yet.
  bool IsSilent(const Member& member, absl::Duration now) const {
    return now - member.last_heard >= lease_;
  }
  /// Present members whose lease is over.
  std::uint32_t silent(absl::Duration now) const;

  /// All members, ascending by number, expired ones included.
  const std::map<base::ShardId, Member>& members() const { return members_; }
  const Member* Find(base::ShardId id) const;
  /// nullptr when the name is not known.
  const Member* FindName(const std::string& name) const;
  /// The member whose session it is; nullptr when none.
  const Member* FindSession(SessionId session) const;
  /// Members not expired.
  std::uint32_t present() const;

  /// Of the first member; nullopt while there never was one.
  const std::optional<ModelIdentity>& model() const { return model_; }
  /// Requires: model().
  const ExpertTopology& topology() const { return topology_; }

 private:
  absl::Status Check(const ShardDescription& description) const;
  absl::Status CheckHeld(const ShardNews& news, const ExpertTopology& topology) const;
  void Take(absl::Duration now, ShardNews news, Member& member);

  const absl::Duration lease_;
  std::map<base::ShardId, Member> members_;
  std::optional<ModelIdentity> model_;
  ExpertTopology topology_;
};

}  // namespace moesaic::placement
