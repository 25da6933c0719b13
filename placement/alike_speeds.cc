#include "placement/alike_speeds.h"

#include <algorithm>

namespace moesaic::placement {
namespace {

double TimeOf(const ShardCapacity& shard) { return shard.us_per_row + shard.us_per_expert; }

}  // namespace

void TakeAlikeAsEqual(absl::Span<const double> tolerance, std::vector<ShardCapacity>& shards) {
  std::vector<const ShardCapacity*> measured;
  for (const ShardCapacity& shard : shards) {
    if (TimeOf(shard) > 0) measured.push_back(&shard);
  }
  if (measured.empty()) return;
  const auto middle = measured.begin() + static_cast<std::ptrdiff_t>(measured.size() / 2);
  std::nth_element(measured.begin(), middle, measured.end(),
                   [](const ShardCapacity* a, const ShardCapacity* b) {
                     return std::pair(TimeOf(*a), a->id) < std::pair(TimeOf(*b), b->id);
                   });
  const double us_per_row = (*middle)->us_per_row;
  const double us_per_expert = (*middle)->us_per_expert;
  const double median = us_per_row + us_per_expert;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const double time = TimeOf(shards[i]);
    if (time == 0 || time > median * tolerance[i] || median > time * tolerance[i]) continue;
    shards[i].us_per_row = us_per_row;
    shards[i].us_per_expert = us_per_expert;
  }
}

}  // namespace moesaic::placement
