#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "placement/placement_problem.h"

namespace moesaic::placement {

struct EplbOptions {
  /// Slots of a layer beyond one for each unit and replica. 32 is what DeepSeek run.
  std::uint32_t redundant_slots = 32;
};

/// The expert balancer that DeepSeek published (github.com/deepseek-ai/EPLB, eplb.py), a layer at a
/// time, from the rows of each unit alone: groups are packed onto nodes, the heaviest units of each
/// node replicated, replicas packed onto its shards. It looks at no speed, no present placement and
/// no failure domain. Where its conditions hold (slots divide by shards, shards by nodes, groups by
/// nodes, memory is equal, `replicas` is 1) the answer is its own; else:
///   - slots that do not divide go to the shards in turns, as far as the memory of each allows;
///   - groups or nodes that do not divide make one node and one group;
///   - every unit begins with `replicas` replicas, or as many as there are slots for all;
///   - a shard that has a replica of a unit gets no second one; where no other has a slot left, one
///   gets a slot more, within its
///     memory, or it is left out;
///   - with fewer slots than units the lightest units stay out.
/// A pure function; the same problem gives the same answer.
PlacementDecision PlaceEplb(const PlacementProblem& problem, const EplbOptions& options = {});

/// Packs items into packs: packs of one item take them in order; else the heaviest item left goes
/// to the lightest pack with room. Equals in order of their number. weights: [items]; rooms:
/// [packs], sum >= items. Returns the pack of each item.
std::vector<std::uint32_t> BalancedPacking(absl::Span<const double> weights,
                                           absl::Span<const std::uint32_t> rooms);

/// Gives every item `floor` replicas, then each further slot to the item with most weight per
/// replica. Requires slots >= floor * items. Returns the item of each slot: all items in order,
/// `floor` times, then the further ones.
std::vector<std::uint32_t> Replicate(absl::Span<const double> weights, std::uint32_t slots,
                                     std::uint32_t floor);

}  // namespace moesaic::placement
