#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "placement/view/placement_map.h"

namespace moesaic::placement {

/// Replaces `path` by `map`, whole at any crash. Errors name the path.
absl::Status SavePlacement(const std::string& path, const PlacementMap& map);

/// Reads what SavePlacement wrote. Errors name the path: NotFound; DataLoss when the content is
/// damaged or fails a check of PlacementMap::FromProto.
absl::StatusOr<std::shared_ptr<const PlacementMap>> LoadPlacement(const std::string& path);

}  // namespace moesaic::placement
