#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "placement/view/topology.h"

namespace moesaic::shard {

/// What a shard was told to hold, remembered over a restart so that it serves again while the
/// coordinator is away. Plain value.
struct Assignment {
  placement::ModelIdentity model;         ///< An assignment for another model is not used.
  base::PlacementEpoch epoch;             ///< Highest epoch the shard has been told.
  std::vector<placement::UnitKey> units;  ///< Ascending.
};

/// Replaces `path` (JSON of v1.ShardReport, for people to read), whole at any crash.
/// Errors name the path.
absl::Status SaveAssignment(const std::string& path, const Assignment& assignment);

/// Errors name the path: NotFound; DataLoss when the content is damaged or names a unit that
/// `topology` lacks; FailedPrecondition when it is for another model than `model`.
absl::StatusOr<Assignment> LoadAssignment(const std::string& path,
                                          const placement::ModelIdentity& model,
                                          const placement::ExpertTopology& topology);

}  // namespace moesaic::shard
