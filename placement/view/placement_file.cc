#include "placement/view/placement_file.h"

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"

namespace moesaic::placement {
namespace {

/// The largest placement the map's own bounds allow in practice: 16 M units would be 200 MB.
constexpr std::size_t kMaxFileBytes = std::size_t{256} << 20;

}  // namespace

absl::Status SavePlacement(const std::string& path, const PlacementMap& map) {
  return base::WriteFileAtomically(path, map.ToProto().SerializeAsString());
}

absl::StatusOr<std::shared_ptr<const PlacementMap>> LoadPlacement(const std::string& path) {
  MOESAIC_ASSIGN_OR_RETURN(const std::string content, base::ReadFile(path, kMaxFileBytes));
  v1::Placement proto;
  if (!proto.ParseFromString(content)) {
    return absl::DataLossError(absl::StrCat(path, " is not a remembered placement"));
  }
  auto map = PlacementMap::FromProto(proto);
  if (!map.ok()) return absl::DataLossError(absl::StrCat(path, ": ", map.status().message()));
  return map;
}

}  // namespace moesaic::placement
