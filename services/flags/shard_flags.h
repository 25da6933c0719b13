#pragma once

#include "absl/status/statusor.h"
#include "services/flags/flag_table.h"
#include "services/flags/model_flags.h"
#include "shard/shard.h"

namespace moesaic::services {

/// Flags of moesaic-shard.
struct ShardFlags {
  ModelFlags model;
  shard::ShardOptions options;
  double calibration_ms = absl::ToDoubleMilliseconds(options.calibration);

  ShardFlags();
  /// Those an operator sets; `moesaic up` passes them on.
  void Declare(FlagTable& table);
  /// Those `moesaic up` sets itself, a different value for each shard.
  void DeclareIdentity(FlagTable& table);
  absl::StatusOr<shard::ShardOptions> Resolve() const;
};

}  // namespace moesaic::services
