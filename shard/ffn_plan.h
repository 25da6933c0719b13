#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "kernels/expert_ffn.h"
#include "placement/view/topology.h"
#include "shard/batcher.h"
#include "shard/expert_store.h"

namespace moesaic::shard {

/// How a batch is computed: its rows stacked in the order of its works, its assignments grouped by
/// expert, and a slot per (row, unit) that the unit's experts are summed into. Immutable; borrows
/// the weights of the HeldUnits it was made with.
struct FfnPlan {
  /// The part of one work.
  struct Part {
    std::uint32_t row_begin = 0;   ///< First row of the stacked input.
    std::uint32_t slot_begin = 0;  ///< First slot; a work's slots are in (row, unit) order.
    std::uint32_t slot_count = 0;
    std::vector<std::uint32_t> missing_units;  ///< Asked for but not held, ascending.
  };
  std::vector<Part> parts;                    ///< [works]
  std::vector<std::uint32_t> slot_row;        ///< [slots] row of the request it belongs to.
  std::vector<std::uint32_t> slot_unit;       ///< [slots]
  std::vector<kernels::ExpertEntry> entries;  ///< [assignments held], by expert, then slot.
  std::vector<kernels::ExpertGroup> groups;   ///< Experts ascending; spans into `entries`.
  std::uint32_t rows = 0;                     ///< Of the stacked input.

  std::uint32_t slots() const { return static_cast<std::uint32_t>(slot_row.size()); }
};

/// Requires: all works are of one MoE layer of `topology`, and each one's assignments are strictly
/// ascending by (row, expert) and in range.
FfnPlan PlanBatch(absl::Span<const Work> works, const HeldUnits& held,
                  const placement::ExpertTopology& topology);

}  // namespace moesaic::shard
