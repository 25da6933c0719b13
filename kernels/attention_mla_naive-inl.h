// The naive form of multi-head latent attention: keys and values of a head are expanded from the
// latent rows, one block at a time, so that memory does not grow with the context. Include inside
// the part of a file that Highway compiles once per target.
#include <algorithm>
#include <cstdint>

#include "kernels/attention_mla-inl.h"
#include "kernels/parallel_slots.h"

#if defined(MOESAIC_KERNELS_ATTENTION_MLA_NAIVE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MOESAIC_KERNELS_ATTENTION_MLA_NAIVE_INL_H_
#undef MOESAIC_KERNELS_ATTENTION_MLA_NAIVE_INL_H_
#else
#define MOESAIC_KERNELS_ATTENTION_MLA_NAIVE_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace moesaic::kernels {
namespace HWY_NAMESPACE {

/// Rows of a naive tile. Expanding a key costs (nope + v) * kv_lora multiply-adds, attending it
/// nope + rope + v per row: for DeepSeek's sizes as much as 410 rows.
inline constexpr std::int64_t kNaiveTileRows = 512;

/// Scratch of one naive work item: a tile of rows of one sequence, one head.
struct NaiveScratch {
  AttentionTile tile;
  float* weights = nullptr;  ///< [nope + v_dim, LatentStride]: W_UK above W_UV
  float* latent = nullptr;   ///< [kv_lora, kAttentionKeyBlock]
  float* values = nullptr;   ///< [v_dim, kAttentionKeyBlock], transposed

  static NaiveScratch Take(const AttentionMlaArgs& args, WorkspaceArena& arena) {
    const MlaShape& shape = args.shape;
    NaiveScratch scratch;
    scratch.tile = AttentionTile::Take(arena, std::min(kNaiveTileRows, args.query.dim(0)),
                                       shape.nope + shape.rope, shape.v_dim, args.scale);
    scratch.weights = arena.Take<float>((shape.nope + shape.v_dim) * LatentStride(shape));
    scratch.latent = arena.Take<float>(shape.kv_lora * kAttentionKeyBlock);
    scratch.values = arena.Take<float>(shape.v_dim * kAttentionKeyBlock);
    return scratch;
  }
};

struct NaiveItem {
  PagedSequence sequence;
  std::int64_t head = 0;
  std::int64_t row_begin = 0;
  std::int64_t row_end = 0;
};

inline std::int64_t NaiveTiles(const AttentionMlaArgs& args, std::int64_t s) {
  return (NaiveRows(args, s) + kNaiveTileRows - 1) / kNaiveTileRows;
}

inline std::int64_t CountNaiveItems(const AttentionMlaArgs& args) {
  std::int64_t tiles = 0;
  for (std::int64_t s = 0; s < args.batch.sequences(); ++s) tiles += NaiveTiles(args, s);
  return tiles * args.shape.heads;
}

/// Item numbers run over sequences, then tiles, then heads.
inline NaiveItem NaiveItemAt(const AttentionMlaArgs& args, std::int64_t index) {
  std::int64_t tile = index / args.shape.heads;
  std::int64_t s = 0;
  for (; tile >= NaiveTiles(args, s); ++s) tile -= NaiveTiles(args, s);
  const PagedSequence sequence = SequenceAt(args.batch, s);
  const std::int64_t begin = sequence.row_begin + tile * kNaiveTileRows;
  const std::int64_t end = sequence.row_begin + NaiveRows(args, s);
  return {sequence, index % args.shape.heads, begin, std::min(begin + kNaiveTileRows, end)};
}

/// Expands the keys and values of one block of positions into the tile.
template <typename T>
void ExpandBlock(const AttentionMlaArgs& args, const PagedSequence& sequence, std::int64_t block,
                 std::int64_t count, const NaiveScratch& scratch) {
  const MlaShape& shape = args.shape;
  const std::int64_t stride = LatentStride(shape);
  const AttentionTile& tile = scratch.tile;
  LoadKeys<T>(args.cache, sequence, block, count, 0, shape.kv_lora, scratch.latent);
  DotRows(scratch.weights, stride, shape.nope, shape.kv_lora, scratch.latent, tile.keys);
  LoadKeys<T>(args.cache, sequence, block, count, shape.kv_lora, shape.rope,
              tile.keys + shape.nope * kAttentionKeyBlock);
  DotRows(scratch.weights + shape.nope * stride, stride, shape.v_dim, shape.kv_lora, scratch.latent,
          scratch.values);
  constexpr std::int64_t kRowsAtOnce = 64;
  for (std::int64_t v = 0; v < shape.v_dim; v += kRowsAtOnce) {
    const float* rows[kRowsAtOnce];
    const std::int64_t n = std::min(kRowsAtOnce, shape.v_dim - v);
    for (std::int64_t i = 0; i < n; ++i) rows[i] = scratch.values + (v + i) * kAttentionKeyBlock;
    TransposeRows(rows, n, count, tile.values + v, tile.value_stride);
  }
}

inline void RunNaiveItem(const AttentionMlaArgs& args, std::int64_t index, std::byte* memory) {
  const NaiveItem item = NaiveItemAt(args, index);
  const MlaShape& shape = args.shape;
  WorkspaceArena arena(memory);
  NaiveScratch scratch = NaiveScratch::Take(args, arena);
  AttentionTile& tile = scratch.tile;
  WidenWeights(args, KeyWeightRow(shape, item.head), shape.nope + shape.v_dim, scratch.weights);
  tile.query_count = item.row_end - item.row_begin;
  for (std::int64_t i = 0; i < tile.query_count; ++i) {
    const std::int64_t row = item.row_begin + i;
    WidenFrom(args.query, (row * shape.heads + item.head) * tile.depth, tile.depth, tile.query(i));
    tile.positions[i] = item.sequence.position(row);
  }
  const std::int64_t keys = item.sequence.position(item.row_end - 1) + 1;
  for (std::int64_t block = 0; block < keys; block += kAttentionKeyBlock) {
    const std::int64_t count = std::min<std::int64_t>(kAttentionKeyBlock, keys - block);
    if (args.cache.pages.dtype == base::DType::kF32) {
      ExpandBlock<float>(args, item.sequence, block, count, scratch);
    } else {
      ExpandBlock<std::uint16_t>(args, item.sequence, block, count, scratch);
    }
    AttendBlock(tile, block);
  }
  for (std::int64_t i = 0; i < tile.query_count; ++i) {
    const std::int64_t row = item.row_begin + i;
    StoreQuery(tile, i, args.out, (row * shape.heads + item.head) * shape.v_dim);
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace moesaic::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
