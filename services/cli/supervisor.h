#pragma once

#include <sys/types.h>

#include <list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace moesaic::services {

/// One process of a local cluster.
struct ChildSpec {
  std::string name;                    ///< "shard-1"
  std::vector<std::string> arguments;  ///< Program first.
  std::string log_path;
  /// Where it writes its addresses once it serves. Empty for a program that is not ours: it is
  /// not told --address-file, and whoever starts it says that it serves, and where.
  std::string address_path;
  /// When it ends before it ever served: give up everything, or start it again like any other.
  bool must_start = true;
  /// Flags that bind it to given addresses, used from the second start on: {"grpc", "--listen"}.
  std::vector<std::pair<std::string, std::string>> address_flags;
};

/// Starts processes, starts one again when it dies, and stops one or all. Owns its children: none
/// outlives it. Single-thread: the main thread, with SIGCHLD blocked.
class Supervisor {
 public:
  struct Child {
    ChildSpec spec;
    pid_t pid = 0;  ///< 0 while it is down.
    bool served = false;
    bool leaving = false;  ///< It was told to end, and is then forgotten.
    /// Addresses by kind ("grpc", "http") once it has served.
    std::vector<std::pair<std::string, std::string>> addresses;
    std::optional<absl::Duration> restart_at;  ///< Monotonic.

    /// The address of `kind`, or "".
    std::string Address(const std::string& kind) const;
  };

  explicit Supervisor(absl::Duration restart_delay) : restart_delay_(restart_delay) {}
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  /// Starts a child; the reference stays valid. Errors: Unavailable.
  absl::StatusOr<Child*> Start(ChildSpec spec);

  /// Notices what happened since the last call: reads the addresses of children that began to
  /// serve, logs deaths, starts again what is due, forgets dismissed children that have ended.
  /// Errors: FailedPrecondition with the end of its log when a child that must start ended before
  /// it ever served (starting it again would not help).
  absl::Status Poll();

  /// SIGTERM to one; it is not started again.
  void Dismiss(Child& child);
  /// SIGTERM to all, in reverse order of start; SIGKILL to what is left after `grace`.
  void StopAll(absl::Duration grace);

  std::list<Child>& children() { return children_; }
  const std::list<Child>& children() const { return children_; }
  /// nullptr when there is no child of that name.
  const Child* Find(const std::string& name) const;
  /// Rises whenever a child starts, begins to serve or ends.
  int changes() const { return changes_; }

 private:
  absl::Status Spawn(Child& child);
  absl::Status NoticeDeath(Child& child, int wait_status);
  void NoticeAddresses(Child& child);

  const absl::Duration restart_delay_;
  std::list<Child> children_;
  int changes_ = 0;
};

}  // namespace moesaic::services
