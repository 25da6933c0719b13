#pragma once

#include <cstdint>

#include "kernels/attention_gqa.h"
#include "kernels/workspace_arena.h"

namespace moesaic::kernels {

/// Rows of scratch arrays are padded to this many floats: one vector of the widest target.
inline constexpr std::int64_t kScratchPad = 16;

inline std::int64_t PadToVector(std::int64_t n) {
  return (n + kScratchPad - 1) / kScratchPad * kScratchPad;
}

/// Scratch of one work item of attention: a tile of queries (pairs of row and head) that attend the
/// same keys, their running softmax, and one block of keys and values. All f32.
struct AttentionTile {
  std::int64_t depth = 0;         ///< of a query and a key
  std::int64_t query_stride = 0;  ///< padded depth
  std::int64_t v_dim = 0;
  std::int64_t value_stride = 0;  ///< padded v_dim
  float scale = 0;

  std::int64_t query_count = 0;
  float* queries = nullptr;           ///< [queries, query_stride]
  std::int64_t* positions = nullptr;  ///< [queries], absolute, of each query
  float* max = nullptr;               ///< [queries]
  float* sum = nullptr;               ///< [queries]
  float* out = nullptr;               ///< [queries, value_stride]

  float* keys = nullptr;       ///< [depth, kAttentionKeyBlock], transposed
  float* values = nullptr;     ///< [kAttentionKeyBlock, value_stride]
  float* scores = nullptr;     ///< [4, kAttentionKeyBlock]
  float* block_out = nullptr;  ///< [4, value_stride]

  /// Takes the arrays for at most `max_queries` queries from `arena`.
  static AttentionTile Take(WorkspaceArena& arena, std::int64_t max_queries, std::int64_t depth,
                            std::int64_t v_dim, float scale) {
    AttentionTile tile;
    tile.depth = depth;
    tile.query_stride = PadToVector(depth);
    tile.v_dim = v_dim;
    tile.value_stride = PadToVector(v_dim);
    tile.scale = scale;
    tile.queries = arena.Take<float>(max_queries * tile.query_stride);
    tile.positions = arena.Take<std::int64_t>(max_queries);
    tile.max = arena.Take<float>(max_queries);
    tile.sum = arena.Take<float>(max_queries);
    tile.out = arena.Take<float>(max_queries * tile.value_stride);
    tile.keys = arena.Take<float>(depth * kAttentionKeyBlock);
    tile.values = arena.Take<float>(kAttentionKeyBlock * tile.value_stride);
    tile.scores = arena.Take<float>(4 * kAttentionKeyBlock);
    tile.block_out = arena.Take<float>(4 * tile.value_stride);
    return tile;
  }

  float* query(std::int64_t i) const { return queries + i * query_stride; }
};

}  // namespace moesaic::kernels
