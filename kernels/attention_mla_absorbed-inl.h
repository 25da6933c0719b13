// The absorbed form of multi-head latent attention: the query is taken into the latent space, where
// all heads share the cache rows as keys and values. Include inside the part of a file that Highway
// compiles once per target.
#include <algorithm>
#include <cstdint>

#include "kernels/attention_mla-inl.h"
#include "kernels/parallel_slots.h"

#if defined(MOESAIC_KERNELS_ATTENTION_MLA_ABSORBED_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MOESAIC_KERNELS_ATTENTION_MLA_ABSORBED_INL_H_
#undef MOESAIC_KERNELS_ATTENTION_MLA_ABSORBED_INL_H_
#else
#define MOESAIC_KERNELS_ATTENTION_MLA_ABSORBED_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace moesaic::kernels {
namespace HWY_NAMESPACE {

/// Absorbed rows in flight: bounds the shared part of the workspace, and reads each head's weights
/// once for as many rows.
inline constexpr std::int64_t kAbsorbedRows = 64;
/// Rows whose queries are absorbed together, one vector register file's worth of chains.
inline constexpr std::int64_t kAbsorbTogether = 4;

/// Outputs that are projected together, for the same reason.
inline constexpr int kDotsTogether = 4;

/// Rows up to which kv_b in bf16 is read as it is, twice at most, rather than widened first (8 rows
/// of DeepSeek-V2-Lite: 0.8 of the time).
inline constexpr std::int64_t kUnwidenedRows = 2 * kAbsorbTogether;

/// An absorbed row and the sequence it belongs to.
struct AbsorbedRow {
  std::int32_t sequence;
  std::int32_t row;
};

/// What the three phases hand to each other, for at most kAbsorbedRows rows.
struct AbsorbedShared {
  std::int64_t query_stride = 0;
  AbsorbedRow* rows = nullptr;  ///< all absorbed rows of the launch
  float* queries = nullptr;     ///< [rows, heads, query_stride]: [q~ | q_rope]
  float* contexts = nullptr;    ///< [rows, heads, LatentStride]

  static AbsorbedShared Take(const AttentionMlaArgs& args, WorkspaceArena& arena) {
    const MlaShape& shape = args.shape;
    const std::int64_t all = args.query.dim(0);
    const std::int64_t rows = std::min(kAbsorbedRows, all) * shape.heads;
    AbsorbedShared shared;
    shared.query_stride = PadToVector(shape.kv_lora + shape.rope);
    shared.rows = arena.Take<AbsorbedRow>(all);
    shared.queries = arena.Take<float>(rows * shared.query_stride);
    shared.contexts = arena.Take<float>(rows * LatentStride(shape));
    return shared;
  }
};

/// Scratch of one absorbed work item, of any phase.
struct AbsorbedScratch {
  AttentionTile tile;
  float* weights = nullptr;  ///< [max(nope, v_dim), LatentStride]
  float* nope = nullptr;     ///< [kAbsorbTogether, padded nope]
  float* latent = nullptr;   ///< [kAbsorbTogether, LatentStride]
  float* out = nullptr;      ///< [v_dim]

  static AbsorbedScratch Take(const AttentionMlaArgs& args, WorkspaceArena& arena) {
    const MlaShape& shape = args.shape;
    AbsorbedScratch scratch;
    scratch.tile = AttentionTile::Take(arena, shape.heads, shape.kv_lora + shape.rope,
                                       shape.kv_lora, args.scale);
    scratch.weights = arena.Take<float>(std::max(shape.nope, shape.v_dim) * LatentStride(shape));
    scratch.nope = arena.Take<float>(kAbsorbTogether * PadToVector(shape.nope));
    scratch.latent = arena.Take<float>(kAbsorbTogether * LatentStride(shape));
    scratch.out = arena.Take<float>(shape.v_dim);
    return scratch;
  }
};

/// Writes the absorbed rows of the whole batch to shared.rows and answers their number.
inline std::int64_t ListAbsorbedRows(const AttentionMlaArgs& args, const AbsorbedShared& shared) {
  std::int64_t count = 0;
  for (std::int64_t s = 0; s < args.batch.sequences(); ++s) {
    const PagedSequence sequence = SequenceAt(args.batch, s);
    for (std::int64_t row = sequence.row_begin + NaiveRows(args, s); row < sequence.row_end;
         ++row) {
      shared.rows[count++] = {static_cast<std::int32_t>(s), static_cast<std::int32_t>(row)};
    }
  }
  return count;
}

/// Calls use(rows of kv_b from `first` on), [n, LatentStride]: the bf16 rows themselves for few
/// queries, else widened into scratch.weights.
template <class Use>
HWY_INLINE void WithWeights(const AttentionMlaArgs& args, std::int64_t first, std::int64_t n,
                            std::int64_t queries, const AbsorbedScratch& scratch, Use use) {
  const bool padded = args.shape.kv_lora != LatentStride(args.shape);
  if (args.kv_b.dtype == base::DType::kBF16 && queries <= kUnwidenedRows && !padded) {
    return use(args.kv_b.As<const std::uint16_t>() + first * args.shape.kv_lora);
  }
  WidenWeights(args, first, n, scratch.weights);
  use(static_cast<const float*>(scratch.weights));
}

/// Phase 1, one head: q~ of n neighbouring rows, n ≤ kAbsorbTogether. weights: W_UK.
template <class W>
void AbsorbQueries(const AttentionMlaArgs& args, const AbsorbedShared& shared,
                   const AbsorbedScratch& scratch, const W* weights, const AbsorbedRow* rows,
                   std::int64_t n, std::int64_t first, std::int64_t head) {
  const MlaShape& shape = args.shape;
  const std::int64_t nope_stride = PadToVector(shape.nope);
  const std::int64_t width = shape.nope + shape.rope;
  for (std::int64_t i = 0; i < n; ++i) {
    WidenFrom(args.query, (rows[i].row * shape.heads + head) * width, shape.nope,
              scratch.nope + i * nope_stride);
  }
  if (n == kAbsorbTogether) {
    CombineRows<kAbsorbTogether>(scratch.nope, nope_stride, shape.nope, weights,
                                 LatentStride(shape), scratch.latent);
  } else {
    for (std::int64_t i = 0; i < n; ++i) {
      CombineRows<1>(scratch.nope + i * nope_stride, nope_stride, shape.nope, weights,
                     LatentStride(shape), scratch.latent + i * LatentStride(shape));
    }
  }
  for (std::int64_t i = 0; i < n; ++i) {
    float* query = shared.queries + ((first + i) * shape.heads + head) * shared.query_stride;
    const float* latent = scratch.latent + i * LatentStride(shape);
    std::copy(latent, latent + shape.kv_lora, query);
    WidenFrom(args.query, (rows[i].row * shape.heads + head) * width + shape.nope, shape.rope,
              query + shape.kv_lora);
  }
}

/// Phase 1, one head, all rows.
inline void AbsorbHead(const AttentionMlaArgs& args, const AbsorbedShared& shared,
                       const AbsorbedRow* rows, std::int64_t count, std::int64_t head,
                       std::byte* memory) {
  WorkspaceArena arena(memory);
  const AbsorbedScratch scratch = AbsorbedScratch::Take(args, arena);
  const auto absorb = [&](const auto* weights) HWY_ATTR {
    for (std::int64_t i = 0; i < count; i += kAbsorbTogether) {
      AbsorbQueries(args, shared, scratch, weights, rows + i, std::min(kAbsorbTogether, count - i),
                    i, head);
    }
  };
  WithWeights(args, KeyWeightRow(args.shape, head), args.shape.nope, count, scratch, absorb);
}

template <typename T>
void WalkLatentBlocks(const AttentionMlaArgs& args, const PagedSequence& sequence,
                      std::int64_t keys, const AttentionTile& tile) {
  for (std::int64_t block = 0; block < keys; block += kAttentionKeyBlock) {
    const std::int64_t count = std::min<std::int64_t>(kAttentionKeyBlock, keys - block);
    LoadKeys<T>(args.cache, sequence, block, count, 0, tile.depth, tile.keys);
    LoadValues<T>(args.cache, sequence, block, count, 0, tile.v_dim, tile.values,
                  tile.value_stride);
    AttendBlock(tile, block);
  }
}

/// Phase 2: the heads [head_begin, head_end) of row number `i` attend the cache.
inline void AttendLatent(const AttentionMlaArgs& args, const AbsorbedShared& shared,
                         const AbsorbedRow& row, std::int64_t i, std::int64_t head_begin,
                         std::int64_t head_end, std::byte* memory) {
  WorkspaceArena arena(memory);
  AttentionTile tile = AbsorbedScratch::Take(args, arena).tile;
  const PagedSequence sequence = SequenceAt(args.batch, row.sequence);
  const std::int64_t position = sequence.position(row.row);
  const std::int64_t heads = args.shape.heads;
  tile.query_count = head_end - head_begin;
  const float* queries = shared.queries + (i * heads + head_begin) * shared.query_stride;
  std::copy(queries, queries + tile.query_count * shared.query_stride, tile.queries);
  std::fill(tile.positions, tile.positions + tile.query_count, position);
  if (args.cache.pages.dtype == base::DType::kF32) {
    WalkLatentBlocks<float>(args, sequence, position + 1, tile);
  } else {
    WalkLatentBlocks<std::uint16_t>(args, sequence, position + 1, tile);
  }
  const std::int64_t stride = LatentStride(args.shape);
  const auto contexts = base::TensorView::Host(shared.contexts, {(i + 1) * heads, stride});
  for (std::int64_t q = 0; q < tile.query_count; ++q) {
    StoreQuery(tile, q, contexts, (i * heads + head_begin + q) * stride);
  }
}

/// Phase 3, one head, all rows: out = W_UV ctx. weights: W_UV.
template <class W>
void ProjectContexts(const AttentionMlaArgs& args, const AbsorbedShared& shared,
                     const AbsorbedScratch& scratch, const W* weights, const AbsorbedRow* rows,
                     std::int64_t count, std::int64_t head) {
  const MlaShape& shape = args.shape;
  const std::int64_t stride = LatentStride(shape);
  for (std::int64_t i = 0; i < count; ++i) {
    const float* context = shared.contexts + (i * shape.heads + head) * stride;
    std::int64_t v = 0;
    for (; v + kDotsTogether <= shape.v_dim; v += kDotsTogether) {
      LaneDots<kDotsTogether>(weights + v * stride, stride, context, shape.kv_lora,
                              scratch.out + v);
    }
    for (; v < shape.v_dim; ++v) {
      scratch.out[v] = LaneDot(weights + v * stride, context, shape.kv_lora);
    }
    NarrowTo(scratch.out, shape.v_dim, args.out, (rows[i].row * shape.heads + head) * shape.v_dim);
  }
}

inline void ProjectHead(const AttentionMlaArgs& args, const AbsorbedShared& shared,
                        const AbsorbedRow* rows, std::int64_t count, std::int64_t head,
                        std::byte* memory) {
  WorkspaceArena arena(memory);
  const AbsorbedScratch scratch = AbsorbedScratch::Take(args, arena);
  const auto project = [&](const auto* weights) HWY_ATTR {
    ProjectContexts(args, shared, scratch, weights, rows, count, head);
  };
  WithWeights(args, ValueWeightRow(args.shape, head), args.shape.v_dim, count, scratch, project);
}

/// Heads per work item of phase 2: as many as leave an item for every worker, since each item
/// transposes the keys for itself.
inline std::int64_t HeadsPerItem(const AttentionMlaArgs& args, std::int64_t rows) {
  const std::int64_t share = (args.shape.heads * rows + args.parallelism - 1) / args.parallelism;
  const std::int64_t rounded = (share + kAbsorbTogether - 1) / kAbsorbTogether * kAbsorbTogether;
  return std::min<std::int64_t>(rounded, args.shape.heads);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace moesaic::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
