#pragma once

#include "placement/coordinator_server.h"
#include "services/flags/flag_table.h"
#include "services/program_files.h"

namespace moesaic::services {

/// Flags of moesaic-coordinator.
struct CoordinatorFlags {
  placement::CoordinatorOptions options;
  double lease_s = absl::ToDoubleSeconds(options.lease);
  double heartbeat_s = absl::ToDoubleSeconds(options.heartbeat);
  std::string policy = std::string(placement::PlacementPolicyName(options.placement));
  double rebalance_interval_s = absl::ToDoubleSeconds(options.rebalance_interval);
  std::string share_dir = DefaultShareDir();
  double emergency_after_s = absl::ToDoubleSeconds(options.emergency_after);

  /// Those an operator sets; `moesaic up` passes them on.
  void Declare(FlagTable& table);
  /// Those `moesaic up` sets itself.
  void DeclareIdentity(FlagTable& table);
  /// Errors: InvalidArgument naming the flag.
  absl::StatusOr<placement::CoordinatorOptions> Resolve() const;
};

}  // namespace moesaic::services
