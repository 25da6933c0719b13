#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace moesaic::router {

/// Blocks that hold `tokens` positions.
inline std::int64_t BlocksFor(std::int64_t tokens, int block_tokens) {
  return (tokens + block_tokens - 1) / block_tokens;
}

/// Hands out the blocks of the paged KV cache by number. A block is counted by its users, so that
/// sequences may share one; it is free again when the last user lets go. Owns numbers only, never
/// the memory. Single-thread (the scheduler's loop).
class KvAllocator {
 public:
  explicit KvAllocator(std::int32_t blocks);

  std::int32_t total_blocks() const { return static_cast<std::int32_t>(users_.size()); }
  std::int32_t free_blocks() const { return static_cast<std::int32_t>(free_.size()); }

  /// Appends `count` blocks, each with one user, to `table`. Returns false, and changes nothing,
  /// when fewer are free.
  bool Allocate(std::int64_t count, std::vector<std::int32_t>& table);
  /// Adds a user to blocks in use.
  void Share(absl::Span<const std::int32_t> blocks);
  /// Removes a user from each of `table`'s blocks and clears the table.
  void Release(std::vector<std::int32_t>& table);
  /// Users of a block; 0 = free.
  std::int32_t users(std::int32_t block) const { return users_[block]; }

 private:
  std::vector<std::int32_t> users_;  // by block
  std::vector<std::int32_t> free_;   // a stack: the block freed last is warm in the caches
};

}  // namespace moesaic::router
