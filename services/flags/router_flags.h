#pragma once

#include <string>

#include "router/router.h"
#include "services/flags/flag_table.h"
#include "services/flags/model_flags.h"

namespace moesaic::services {

/// Flags of moesaic-router.
struct RouterFlags {
  ModelFlags model;
  router::RouterOptions options;
  double request_timeout_s = 600;
  std::string micro_batches = "auto";
  int max_step_ms = 180;
  std::string reasoning_parser = "auto";
  std::string degraded = "none";
  int degraded_after_ms = 1000;  ///< Longer than a connection takes to be made again.

  /// Those an operator sets; `moesaic up` passes them on.
  void Declare(FlagTable& table);
  /// Those `moesaic up` sets itself.
  void DeclareIdentity(FlagTable& table);
  absl::StatusOr<router::RouterOptions> Resolve() const;
};

}  // namespace moesaic::services
