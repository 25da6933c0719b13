#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <ostream>
#include <utility>

namespace moesaic::base {

/// An integer that cannot be mixed up with another kind of id. Immutable value.
template <typename Tag, typename Rep = std::uint32_t>
class StrongId {
 public:
  using rep = Rep;
  constexpr StrongId() = default;
  constexpr explicit StrongId(Rep value) : value_(value) {}
  constexpr Rep value() const { return value_; }
  constexpr auto operator<=>(const StrongId&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const StrongId& id) {
    return H::combine(std::move(h), id.value_);
  }
  friend std::ostream& operator<<(std::ostream& out, const StrongId& id) {
    return out << +id.value_;
  }

 private:
  Rep value_{};
};

/// A decoder layer, counted from 0; may equal or exceed num_hidden_layers (multi-token prediction).
using LayerId = StrongId<struct LayerIdTag>;
/// A routed expert within its layer.
using ExpertId = StrongId<struct ExpertIdTag>;
/// `unit_size` consecutive experts within their layer: what is placed, replicated and moved.
using UnitId = StrongId<struct UnitIdTag>;
/// A shard process, numbered by the coordinator for the life of a placement term.
using ShardId = StrongId<struct ShardIdTag>;

/// A placement version. A higher term always wins; within a term, the higher version.
struct PlacementEpoch {
  std::uint64_t term = 0;
  std::uint64_t version = 0;
  constexpr auto operator<=>(const PlacementEpoch&) const = default;
};

}  // namespace moesaic::base

template <typename Tag, typename Rep>
struct std::hash<moesaic::base::StrongId<Tag, Rep>> {
  std::size_t operator()(const moesaic::base::StrongId<Tag, Rep>& id) const {
    return std::hash<Rep>()(id.value());
  }
};
