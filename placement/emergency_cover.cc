#include "placement/emergency_cover.h"

#include <algorithm>

namespace moesaic::placement {
namespace {

using Shard = CoverProblem::Shard;

void Insert(Shard& shard, std::uint32_t unit) {
  shard.units.insert(std::lower_bound(shard.units.begin(), shard.units.end(), unit), unit);
}

/// The unit of `shard` with most live copies; nullopt when each of its units is the last one.
std::optional<std::uint32_t> Spare(const Shard& shard, const std::vector<std::uint32_t>& copies) {
  std::optional<std::uint32_t> best;
  for (const std::uint32_t unit : shard.units) {
    if (copies[unit] > 1 && (!best || copies[unit] > copies[*best])) best = unit;
  }
  return best;
}

Shard* MostRoom(std::vector<Shard>& shards) {
  const auto most = std::max_element(
      shards.begin(), shards.end(), [](const Shard& a, const Shard& b) { return a.room < b.room; });
  return most == shards.end() || most->room == 0 ? nullptr : &*most;
}

}  // namespace

std::vector<Cover> CoverLost(CoverProblem problem) {
  std::vector<Cover> covers;
  for (const std::uint32_t unit : problem.lost) {
    if (Shard* const shard = MostRoom(problem.live)) {
      --shard->room;
      Insert(*shard, unit);
      covers.push_back({.unit = unit, .shard = shard->id, .evicted = std::nullopt});
      continue;
    }
    Shard* giver = nullptr;
    std::optional<std::uint32_t> evicted;
    for (Shard& shard : problem.live) {
      const auto spare = Spare(shard, problem.live_copies);
      if (spare && (!evicted || problem.live_copies[*spare] > problem.live_copies[*evicted])) {
        giver = &shard;
        evicted = spare;
      }
    }
    if (giver == nullptr) break;  // nobody can take any more
    --problem.live_copies[*evicted];
    std::erase(giver->units, *evicted);
    Insert(*giver, unit);
    covers.push_back({.unit = unit, .shard = giver->id, .evicted = evicted});
  }
  return covers;
}

}  // namespace moesaic::placement
