// Per-target core of every attention op: one block of keys against a tile of queries. Include
// inside the part of a file that Highway compiles once per target.
#include <algorithm>
#include <cstdint>

#include "kernels/attention_gqa.h"
#include "kernels/attention_tile.h"
#include "kernels/paged_sequence.h"
#include "kernels/simd_math-inl.h"
#include "kernels/transpose-inl.h"

#if defined(MOESAIC_KERNELS_ATTENTION_BLOCK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MOESAIC_KERNELS_ATTENTION_BLOCK_INL_H_
#undef MOESAIC_KERNELS_ATTENTION_BLOCK_INL_H_
#else
#define MOESAIC_KERNELS_ATTENTION_BLOCK_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace moesaic::kernels {
namespace HWY_NAMESPACE {

inline constexpr std::int64_t kStep = static_cast<std::int64_t>(kVectorLanes);

// ---- moving and widening

/// dst[i] = src[i], widened.
template <typename T>
HWY_INLINE void WidenRow(const T* src, std::int64_t n, float* dst) {
  std::int64_t i = 0;
  for (; i + kStep <= n; i += kStep) StoreF32(LoadAs(src + i), dst + i);
  for (; i < n; ++i) dst[i] = ToFloat(src[i]);
}

/// The same from element `index` of an f32 or bf16 tensor on.
HWY_INLINE void WidenFrom(const base::TensorView& view, std::int64_t index, std::int64_t n,
                          float* dst) {
  if (view.dtype == base::DType::kF32) {
    WidenRow(view.As<float>() + index, n, dst);
  } else {
    WidenRow(view.As<std::uint16_t>() + index, n, dst);
  }
}

/// dst[i] = src[i], rounded once where T is bf16.
template <typename T>
HWY_INLINE void NarrowRow(const float* src, std::int64_t n, T* dst) {
  std::int64_t i = 0;
  for (; i + kStep <= n; i += kStep) StoreAs(LoadF32(src + i), dst + i);
  for (; i < n; ++i) {
    if constexpr (sizeof(T) == sizeof(float)) {
      dst[i] = src[i];
    } else {
      dst[i] = base::F32ToBF16(src[i]);
    }
  }
}

/// The same to element `index` of an f32 or bf16 tensor on.
HWY_INLINE void NarrowTo(const float* src, std::int64_t n, const base::TensorView& view,
                         std::int64_t index) {
  if (view.dtype == base::DType::kF32) {
    NarrowRow(src, n, view.As<float>() + index);
  } else {
    NarrowRow(src, n, view.As<std::uint16_t>() + index);
  }
}

/// The cached rows of [block, block + count), from `column` on.
template <typename T>
HWY_INLINE void BlockRows(const PagedKvView& cache, const PagedSequence& sequence,
                          std::int64_t block, std::int64_t count, std::int64_t column,
                          const T** rows) {
  for (std::int64_t j = 0; j < count; ++j) {
    rows[j] = CachedRow<T>(cache, sequence, block + j, column);
  }
}

/// Asks for the rows of [block, block + count), which a block of computing later is read: they lie
/// apart, so that the processor does not foresee them.
template <typename T>
HWY_INLINE void PrefetchRows(const PagedKvView& cache, const PagedSequence& sequence,
                             std::int64_t block, std::int64_t count, std::int64_t column,
                             std::int64_t dims) {
  constexpr std::int64_t kLine = 64 / sizeof(T);
  for (std::int64_t j = 0; j < count; ++j) {
    const T* row = CachedRow<T>(cache, sequence, block + j, column);
    for (std::int64_t d = 0; d < dims; d += kLine) __builtin_prefetch(row + d, 0, 2);
  }
}

/// keys[d][j] = `dims` columns of the block's rows; lanes past `count` hold anything.
template <typename T>
HWY_INLINE void LoadKeys(const PagedKvView& cache, const PagedSequence& sequence,
                         std::int64_t block, std::int64_t count, std::int64_t column,
                         std::int64_t dims, float* keys) {
  const T* rows[kAttentionKeyBlock];
  BlockRows(cache, sequence, block, count, column, rows);
  TransposeRows(rows, count, dims, keys, kAttentionKeyBlock);
}

/// values[j][v] = `dims` columns of the block's rows.
template <typename T>
HWY_INLINE void LoadValues(const PagedKvView& cache, const PagedSequence& sequence,
                           std::int64_t block, std::int64_t count, std::int64_t column,
                           std::int64_t dims, float* values, std::int64_t stride) {
  const T* rows[kAttentionKeyBlock];
  BlockRows(cache, sequence, block, count, column, rows);
  for (std::int64_t j = 0; j < count; ++j) WidenRow(rows[j], dims, values + j * stride);
}

// ---- products

/// Vectors per chain group of four queries: with 32 registers a load serves twice as many products.
inline constexpr int kVectorsOfFour = kVectorLanes >= 16 ? 4 : 2;
/// Of one query: long pieces of a row, which memory gives faster than short ones.
inline constexpr int kVectorsOfOne = kVectorLanes >= 16 ? 8 : 4;

/// out[q][lane] = fma chain over d ascending of a[q][d] * keys[d][lane], for kVectors vectors of
/// lanes from `lane` on. kQueries * kVectors chains hide the latency of one.
template <int kQueries, int kVectors>
HWY_INLINE void DotLanes(const float* a, std::int64_t a_stride, std::int64_t depth,
                         const float* keys, std::int64_t lane, float* out) {
  VF acc[kQueries][kVectors];
  MOESAIC_UNROLL for (int q = 0; q < kQueries; ++q) {
    MOESAIC_UNROLL for (int v = 0; v < kVectors; ++v) acc[q][v] = hn::Zero(DF());
  }
  for (std::int64_t d = 0; d < depth; ++d) {
    VF k[kVectors];
    MOESAIC_UNROLL for (int v = 0; v < kVectors; ++v) {
      k[v] = LoadF32(keys + d * kAttentionKeyBlock + lane + v * kStep);
    }
    MOESAIC_UNROLL for (int q = 0; q < kQueries; ++q) {
      const VF x = hn::Set(DF(), a[q * a_stride + d]);
      MOESAIC_UNROLL for (int v = 0; v < kVectors; ++v) acc[q][v] = Fma(x, k[v], acc[q][v]);
    }
  }
  MOESAIC_UNROLL for (int q = 0; q < kQueries; ++q) {
    MOESAIC_UNROLL for (int v = 0; v < kVectors; ++v) {
      StoreF32(acc[q][v], out + q * kAttentionKeyBlock + lane + v * kStep);
    }
  }
}

template <int kQueries>
HWY_INLINE void DotBlock(const float* a, std::int64_t a_stride, std::int64_t depth,
                         const float* keys, float* out) {
  constexpr int kVectors = kQueries == 4 ? kVectorsOfFour : 4;
  for (std::int64_t lane = 0; lane < kAttentionKeyBlock; lane += kVectors * kStep) {
    DotLanes<kQueries, kVectors>(a, a_stride, depth, keys, lane, out);
  }
}

/// out[i][lane] = fma chain over d of a[i][d] * keys[d][lane], for n rows of a.
HWY_INLINE void DotRows(const float* a, std::int64_t a_stride, std::int64_t n, std::int64_t depth,
                        const float* keys, float* out) {
  std::int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    DotBlock<4>(a + i * a_stride, a_stride, depth, keys, out + i * kAttentionKeyBlock);
  }
  for (; i < n; ++i) {
    DotBlock<1>(a + i * a_stride, a_stride, depth, keys, out + i * kAttentionKeyBlock);
  }
}

/// Rows ahead of use at which bf16 rows are prefetched: those come from memory, not from scratch.
inline constexpr std::int64_t kPrefetchRows = 8;

/// out[q][v] = fma chain over j ascending of weights[q][j] * rows[j][v], kVectors vectors from v.
template <int kQueries, int kVectors, class T>
HWY_INLINE void CombineLanes(const float* weights, std::int64_t weight_stride, std::int64_t count,
                             const T* rows, std::int64_t stride, std::int64_t v, float* out) {
  constexpr auto kLine = static_cast<int>(64 / sizeof(T) / kVectorLanes);
  VF acc[kQueries][kVectors];
  MOESAIC_UNROLL for (int q = 0; q < kQueries; ++q) {
    MOESAIC_UNROLL for (int i = 0; i < kVectors; ++i) acc[q][i] = hn::Zero(DF());
  }
  for (std::int64_t j = 0; j < count; ++j) {
    VF row[kVectors];
    MOESAIC_UNROLL for (int i = 0; i < kVectors; ++i) {
      const T* from = rows + j * stride + v + i * kStep;
      if constexpr (sizeof(T) == 2) {
        if (i % kLine == 0) __builtin_prefetch(from + kPrefetchRows * stride, 0, 2);
      }
      row[i] = LoadAs(from);
    }
    MOESAIC_UNROLL for (int q = 0; q < kQueries; ++q) {
      const VF w = hn::Set(DF(), weights[q * weight_stride + j]);
      MOESAIC_UNROLL for (int i = 0; i < kVectors; ++i) acc[q][i] = Fma(w, row[i], acc[q][i]);
    }
  }
  MOESAIC_UNROLL for (int q = 0; q < kQueries; ++q) {
    MOESAIC_UNROLL for (int i = 0; i < kVectors; ++i) {
      StoreF32(acc[q][i], out + q * stride + v + i * kStep);
    }
  }
}

/// `stride`, of rows and out, is a multiple of kScratchPad and all of it is computed.
template <int kQueries, class T>
HWY_INLINE void CombineRows(const float* weights, std::int64_t weight_stride, std::int64_t count,
                            const T* rows, std::int64_t stride, float* out) {
  constexpr int kVectors = kQueries == 4 ? kVectorsOfFour : kQueries == 1 ? kVectorsOfOne : 4;
  std::int64_t v = 0;
  for (; v + kVectors * kStep <= stride; v += kVectors * kStep) {
    CombineLanes<kQueries, kVectors>(weights, weight_stride, count, rows, stride, v, out);
  }
  for (; v < stride; v += kStep) {
    CombineLanes<kQueries, 1>(weights, weight_stride, count, rows, stride, v, out);
  }
}

// ---- softmax

struct BlockStats {
  float max;
  float sum;
};

/// scores [kAttentionKeyBlock] → p, 0 past `count`.
HWY_INLINE BlockStats BlockSoftmax(float* scores, std::int64_t count, float scale) {
  const VF factor = hn::Set(DF(), scale);
  for (std::int64_t j = 0; j < kAttentionKeyBlock; j += kStep) {
    StoreF32(hn::Mul(LoadF32(scores + j), factor), scores + j);
  }
  const float max = LaneMax(scores, count, -HUGE_VALF);
  const VF shift = hn::Set(DF(), max);
  for (std::int64_t j = 0; j < count; j += kStep) {
    StoreF32(Exp(hn::Sub(LoadF32(scores + j), shift)), scores + j);
  }
  std::fill(scores + count, scores + kAttentionKeyBlock, 0.0f);
  return {max, LaneSum(scores, kAttentionKeyBlock)};
}

HWY_INLINE float ExpOne(float x) { return hn::GetLane(Exp(hn::Set(DF(), x))); }

/// Adds a block's result to query i's running softmax. Blocks come in ascending order from 0.
HWY_INLINE void MergeBlock(const AttentionTile& tile, std::int64_t i, std::int64_t block,
                           BlockStats stats, const float* block_out) {
  float* out = tile.out + i * tile.value_stride;
  if (block == 0) {
    tile.max[i] = stats.max;
    tile.sum[i] = stats.sum;
    std::copy(block_out, block_out + tile.value_stride, out);
    return;
  }
  const float max = MaxScalars(tile.max[i], stats.max);
  const float keep = ExpOne(tile.max[i] - max);
  const float add = ExpOne(stats.max - max);
  tile.max[i] = max;
  tile.sum[i] = std::fma(stats.sum, add, tile.sum[i] * keep);
  const VF keep_v = hn::Set(DF(), keep);
  const VF add_v = hn::Set(DF(), add);
  for (std::int64_t v = 0; v < tile.value_stride; v += kStep) {
    StoreF32(Fma(LoadF32(block_out + v), add_v, hn::Mul(LoadF32(out + v), keep_v)), out + v);
  }
}

/// kQueries neighbouring queries against the block of keys in the tile.
template <int kQueries>
HWY_INLINE void AttendQueries(const AttentionTile& tile, std::int64_t first, std::int64_t block) {
  DotBlock<kQueries>(tile.query(first), tile.query_stride, tile.depth, tile.keys, tile.scores);
  std::int64_t counts[kQueries];
  BlockStats stats[kQueries];
  bool equal = true;
  for (int q = 0; q < kQueries; ++q) {
    counts[q] = std::min<std::int64_t>(tile.positions[first + q] + 1 - block, kAttentionKeyBlock);
    stats[q] = BlockSoftmax(tile.scores + q * kAttentionKeyBlock, counts[q], tile.scale);
    equal &= counts[q] == counts[0];
  }
  if (equal) {
    CombineRows<kQueries>(tile.scores, kAttentionKeyBlock, counts[0], tile.values,
                          tile.value_stride, tile.block_out);
  } else {
    for (int q = 0; q < kQueries; ++q) {
      CombineRows<1>(tile.scores + q * kAttentionKeyBlock, kAttentionKeyBlock, counts[q],
                     tile.values, tile.value_stride, tile.block_out + q * tile.value_stride);
    }
  }
  for (int q = 0; q < kQueries; ++q) {
    MergeBlock(tile, first + q, block, stats[q], tile.block_out + q * tile.value_stride);
  }
}

/// All queries of the tile against the keys [block, block + kAttentionKeyBlock) in it. Positions
/// must not descend: queries before the block are skipped.
HWY_INLINE void AttendBlock(const AttentionTile& tile, std::int64_t block) {
  std::int64_t i =
      std::lower_bound(tile.positions, tile.positions + tile.query_count, block) - tile.positions;
  for (; i + 4 <= tile.query_count; i += 4) AttendQueries<4>(tile, i, block);
  for (; i + 2 <= tile.query_count; i += 2) AttendQueries<2>(tile, i, block);
  for (; i < tile.query_count; ++i) AttendQueries<1>(tile, i, block);
}

/// Finishes the output of query i and writes it to element `index` of a tensor on.
HWY_INLINE void StoreQuery(const AttentionTile& tile, std::int64_t i, const base::TensorView& out,
                           std::int64_t index) {
  const VF inverse = hn::Set(DF(), 1.0f / tile.sum[i]);
  float* row = tile.out + i * tile.value_stride;
  for (std::int64_t v = 0; v < tile.value_stride; v += kStep) {
    StoreF32(hn::Mul(LoadF32(row + v), inverse), row + v);
  }
  NarrowTo(row, tile.v_dim, out, index);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace moesaic::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
