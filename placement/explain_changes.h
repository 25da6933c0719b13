#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "placement/placement_plan.h"
#include "placement/shorten_layer.h"

namespace moesaic::placement {

/// Reasons in the order in which they come, cut to a number of lines.
class ReasonList {
 public:
  void Add(std::string line) { lines_.push_back(std::move(line)); }
  /// At most `most` lines, the last of which then says how many there are beside.
  std::vector<std::string> Take(std::size_t most) &&;

 private:
  std::vector<std::string> lines_;
};

/// One change per layer: steps in order, from the first time to the last.
std::vector<LayerChange> MergeByLayer(std::vector<LayerChange> changes);

/// Says what `changes` (one per layer) made of `before`: a line in sum, then one for each step,
/// those of the layers that gain most first. Without anything held only further replicas are a
/// change.
void ExplainChanges(const PlacementPlan& before, const PlacementPlan& after,
                    std::vector<LayerChange> changes, ReasonList& reasons);

}  // namespace moesaic::placement
