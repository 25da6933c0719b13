#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/attention_tile.h"
#include "kernels/backends.h"
#include "kernels/paged_sequence.h"
#include "kernels/parallel_slots.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention_gqa_cpu.cc"
#include "kernels/simd_targets.h"
// After simd_targets.h.
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "kernels/attention_block-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moesaic::kernels {
namespace HWY_NAMESPACE {

// One work item is a tile of rows of one sequence and one key head, with every query head that
// reads it: a block of keys is transposed once and used by all of them.

/// Queries (rows times heads) of a tile. 128 make the transposition of a block of keys, about two
/// vector operations per key value, small beside its 128 multiply-adds.
constexpr std::int64_t kTileQueries = 128;

struct GqaItem {
  PagedSequence sequence;
  int kv_head = 0;
  std::int64_t row_begin = 0;
  std::int64_t row_end = 0;
};

std::int64_t Group(const AttentionGqaArgs& args) { return args.heads / args.kv_heads; }

std::int64_t TileRows(const AttentionGqaArgs& args) {
  return std::max<std::int64_t>(1, kTileQueries / Group(args));
}

AttentionTile TakeTile(const AttentionGqaArgs& args, WorkspaceArena& arena) {
  return AttentionTile::Take(arena, TileRows(args) * Group(args), args.query.dim(1) / args.heads,
                             args.out.dim(1) / args.heads, args.scale);
}

std::int64_t TilesOf(const PagedSequence& sequence, std::int64_t tile_rows) {
  return (sequence.rows() + tile_rows - 1) / tile_rows;
}

std::int64_t CountItems(const AttentionGqaArgs& args) {
  std::int64_t tiles = 0;
  for (std::int64_t s = 0; s < args.batch.sequences(); ++s) {
    tiles += TilesOf(SequenceAt(args.batch, s), TileRows(args));
  }
  return tiles * args.kv_heads;
}

/// Item numbers run over sequences, then tiles, then key heads.
GqaItem ItemAt(const AttentionGqaArgs& args, std::int64_t index) {
  const std::int64_t tile_rows = TileRows(args);
  std::int64_t tile = index / args.kv_heads;
  std::int64_t s = 0;
  PagedSequence sequence = SequenceAt(args.batch, 0);
  while (tile >= TilesOf(sequence, tile_rows)) {
    tile -= TilesOf(sequence, tile_rows);
    sequence = SequenceAt(args.batch, ++s);
  }
  const std::int64_t begin = sequence.row_begin + tile * tile_rows;
  return {sequence, static_cast<int>(index % args.kv_heads), begin,
          std::min(begin + tile_rows, sequence.row_end)};
}

void LoadQueries(const AttentionGqaArgs& args, const GqaItem& item, AttentionTile& tile) {
  const std::int64_t group = Group(args);
  tile.query_count = 0;
  for (std::int64_t row = item.row_begin; row < item.row_end; ++row) {
    for (std::int64_t g = 0; g < group; ++g) {
      const std::int64_t i = tile.query_count++;
      const std::int64_t head = item.kv_head * group + g;
      WidenFrom(args.query, (row * args.heads + head) * tile.depth, tile.depth, tile.query(i));
      tile.positions[i] = item.sequence.position(row);
    }
  }
}

template <typename T>
void WalkBlocks(const AttentionGqaArgs& args, const GqaItem& item, const AttentionTile& tile) {
  const std::int64_t keys = item.sequence.position(item.row_end - 1) + 1;
  for (std::int64_t block = 0; block < keys; block += kAttentionKeyBlock) {
    const std::int64_t count = std::min<std::int64_t>(kAttentionKeyBlock, keys - block);
    const std::int64_t next = block + kAttentionKeyBlock;
    const std::int64_t next_count = std::min<std::int64_t>(kAttentionKeyBlock, keys - next);
    PrefetchRows<T>(args.keys, item.sequence, next, next_count, item.kv_head * tile.depth,
                    tile.depth);
    PrefetchRows<T>(args.values, item.sequence, next, next_count, item.kv_head * tile.v_dim,
                    tile.v_dim);
    LoadKeys<T>(args.keys, item.sequence, block, count, item.kv_head * tile.depth, tile.depth,
                tile.keys);
    LoadValues<T>(args.values, item.sequence, block, count, item.kv_head * tile.v_dim, tile.v_dim,
                  tile.values, tile.value_stride);
    AttendBlock(tile, block);
  }
}

void RunGqaItem(const AttentionGqaArgs& args, std::int64_t index, std::byte* scratch) {
  const GqaItem item = ItemAt(args, index);
  WorkspaceArena arena(scratch);
  AttentionTile tile = TakeTile(args, arena);
  LoadQueries(args, item, tile);
  if (args.keys.pages.dtype == base::DType::kF32) {
    WalkBlocks<float>(args, item, tile);
  } else {
    WalkBlocks<std::uint16_t>(args, item, tile);
  }
  const std::int64_t group = Group(args);
  for (std::int64_t i = 0; i < tile.query_count; ++i) {
    const std::int64_t row = item.row_begin + i / group;
    const std::int64_t head = item.kv_head * group + i % group;
    StoreQuery(tile, i, args.out, (row * args.heads + head) * tile.v_dim);
  }
}

std::size_t GqaSlotBytes(const AttentionGqaArgs& args) {
  WorkspaceArena arena;
  TakeTile(args, arena);
  return arena.bytes();
}

void RunGqa(const AttentionGqaArgs& args, std::byte* scratch, base::ComputePool& pool) {
  const std::size_t slot_bytes = GqaSlotBytes(args);
  ParallelForSlots(pool, args.parallelism, CountItems(args),
                   [&](std::int64_t slot, std::int64_t item) HWY_ATTR {
                     RunGqaItem(args, item, scratch + static_cast<std::size_t>(slot) * slot_bytes);
                   });
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace moesaic::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moesaic::kernels {

HWY_EXPORT(RunGqa);

std::size_t cpu::WorkspaceBytes(const AttentionGqaArgs& args) {
  return static_cast<std::size_t>(args.parallelism) * HWY_STATIC_DISPATCH(GqaSlotBytes)(args);
}

void cpu::Run(const AttentionGqaArgs& args, base::TensorView workspace, base::ComputePool& pool) {
  HWY_DYNAMIC_DISPATCH(RunGqa)(args, workspace.As<std::byte>(), pool);
}

}  // namespace moesaic::kernels
#endif  // HWY_ONCE
