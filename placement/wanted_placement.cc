#include "placement/wanted_placement.h"

#include <algorithm>
#include <utility>

namespace moesaic::placement {
namespace {

template <typename T>
void Insert(std::vector<T>& sorted, T value) {
  const auto at = std::lower_bound(sorted.begin(), sorted.end(), value);
  if (at == sorted.end() || *at != value) sorted.insert(at, value);
}

template <typename T>
void Erase(std::vector<T>& sorted, T value) {
  const auto at = std::lower_bound(sorted.begin(), sorted.end(), value);
  if (at != sorted.end() && *at == value) sorted.erase(at);
}

}  // namespace

void WantedPlacement::Reset(std::uint32_t units) {
  units_.clear();
  holders_.assign(units, {});
}

void WantedPlacement::Set(base::ShardId shard, std::vector<std::uint32_t> units) {
  for (const std::uint32_t unit : UnitsOf(shard)) Erase(holders_[unit], shard);
  for (const std::uint32_t unit : units) Insert(holders_[unit], shard);
  units_[shard] = std::move(units);
}

void WantedPlacement::Add(base::ShardId shard, std::uint32_t unit) {
  Insert(units_[shard], unit);
  Insert(holders_[unit], shard);
}

void WantedPlacement::Remove(base::ShardId shard, std::uint32_t unit) {
  Erase(units_[shard], unit);
  Erase(holders_[unit], shard);
}

const std::vector<std::uint32_t>& WantedPlacement::UnitsOf(base::ShardId shard) const {
  static const std::vector<std::uint32_t> none;
  const auto found = units_.find(shard);
  return found == units_.end() ? none : found->second;
}

}  // namespace moesaic::placement
