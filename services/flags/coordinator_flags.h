#pragma once

#include "placement/coordinator_server.h"
#include "services/flags/flag_table.h"

namespace moesaic::services {

/// Flags of moesaic-coordinator.
struct CoordinatorFlags {
  placement::CoordinatorOptions options;
  double lease_s = absl::ToDoubleSeconds(options.lease);
  double heartbeat_s = absl::ToDoubleSeconds(options.heartbeat);

  /// Those an operator sets; `moesaic up` passes them on.
  void Declare(FlagTable& table);
  /// Those `moesaic up` sets itself.
  void DeclareIdentity(FlagTable& table);
  placement::CoordinatorOptions Resolve() const;
};

}  // namespace moesaic::services
