#include "router/scheduler/kv_allocator.h"

#include <numeric>

#include "base/check.h"

namespace moesaic::router {

KvAllocator::KvAllocator(std::int32_t blocks) : users_(blocks, 0), free_(blocks) {
  std::iota(free_.rbegin(), free_.rend(), 0);
}

bool KvAllocator::Allocate(std::int64_t count, std::vector<std::int32_t>& table) {
  if (count > free_blocks()) return false;
  for (; count > 0; --count) {
    const std::int32_t block = free_.back();
    free_.pop_back();
    users_[block] = 1;
    table.push_back(block);
  }
  return true;
}

void KvAllocator::Share(absl::Span<const std::int32_t> blocks) {
  for (const std::int32_t block : blocks) {
    MOESAIC_CHECK(users_[block] > 0);
    ++users_[block];
  }
}

void KvAllocator::Release(std::vector<std::int32_t>& table) {
  for (const std::int32_t block : table) {
    MOESAIC_CHECK(users_[block] > 0);
    if (--users_[block] == 0) free_.push_back(block);
  }
  table.clear();
}

}  // namespace moesaic::router
