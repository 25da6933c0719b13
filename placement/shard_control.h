#pragma once

#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/ids.h"
#include "placement/view/topology.h"

namespace moesaic::placement {

/// Tells shards what to hold: over gRPC in the coordinator, recorded in tests. Calls return at
/// once; `done` runs exactly once, later, on the coordinator's loop.
class ShardControl {
 public:
  using Done = absl::AnyInvocable<void(absl::Status)>;

  virtual ~ShardControl() = default;
  virtual void Load(const std::string& address, base::PlacementEpoch epoch,
                    const std::vector<UnitKey>& units, Done done) = 0;
  virtual void Unload(const std::string& address, base::PlacementEpoch epoch,
                      const std::vector<UnitKey>& units, Done done) = 0;
};

}  // namespace moesaic::placement
