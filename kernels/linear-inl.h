// The matrix product of all ops, per target: include inside the part of a file that Highway
// compiles once per target. Contract: kernels/linear.h.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "kernels/bf16_code-inl.h"
#include "kernels/bf16_tile.h"
#include "kernels/flush_subnormals.h"
#include "kernels/packed_matrix.h"
#include "kernels/simd_math-inl.h"
#include "kernels/weight_chunk.h"
#if defined(MOESAIC_KERNELS_LINEAR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MOESAIC_KERNELS_LINEAR_INL_H_
#undef MOESAIC_KERNELS_LINEAR_INL_H_
#else
#define MOESAIC_KERNELS_LINEAR_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace moesaic::kernels {
namespace HWY_NAMESPACE {

/// Panels of one work item: enough that reading the activations again for every item costs little
/// (64 outputs an item were a sixth slower), few enough to share a small matrix among threads.
inline constexpr std::int64_t kGroupPanels = 8;
inline constexpr std::int64_t kGroupOutputs = kGroupPanels * PackedMatrix::kPanel;

/// Inputs that a tile takes at a time: one fp8 scale block. Accumulators wait in memory between
/// chunks, as f32, so each output is still one chain.
inline constexpr std::int64_t kChunk = PackedMatrix::kScaleBlock;

/// Inputs ahead of use at which weights are prefetched. A chunk is read panel by panel, in runs too
/// short for the hardware's own prefetchers (on Sapphire Rapids 8 rows were half as fast without).
inline constexpr std::int64_t kPrefetchInputs = 64;

/// Into the second-level cache: the first has too few lines in flight for weights that come from
/// memory (on Zen 4, one row, 30 GB/s of 36, and with large pages 36 of 54).
HWY_INLINE void PrefetchWeights(const void* p) { __builtin_prefetch(p, 0, 2); }

/// Rows of a tile: rows x panels accumulators, plus weights and a broadcast, fill the register file
/// (32 registers; 16 on AVX2).
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_NEON
inline constexpr int kMaxTileRows = 6;
inline constexpr int TilePanels(int rows) { return rows == 1 ? 4 : rows <= 3 ? 2 : 1; }
#elif HWY_TARGET <= HWY_AVX3
inline constexpr int kMaxTileRows = 12;
inline constexpr int TilePanels(int rows) { return rows <= 6 ? 4 : 2; }
#else
inline constexpr int kMaxTileRows = 2;
inline constexpr int TilePanels(int) { return 1; }
#endif
template <class W>
constexpr int PanelsOf(int rows) {
  return TilePanels(rows);
}

/// Whether tiles read coded weights as they are. With fewer registers they are widened into a
/// buffer first, which takes longer than to read plain ones.
inline constexpr bool kTilesReadCoded = kMaxTileRows == 12;

/// Rows of one work item: they share the widening of its weights.
inline constexpr std::int64_t kBlockRows = 8 * kMaxTileRows;

/// Eight e4m3 bits moved into the fields of an f16 mean 2^-8 times as much, subnormals included, so
/// the conversion in hardware is exact. Shifting the sign-extended byte puts the sign into the two
/// highest bits, of which f16 wants the first.
HWY_INLINE VF WidenF8(hn::Vec<DI8> v) {
  const hn::Rebind<std::int16_t, DF> di16;
  const auto shifted = hn::ShiftLeft<7>(hn::PromoteTo(di16, v));
  const auto bits = hn::And(shifted, hn::Set(di16, static_cast<std::int16_t>(0xBFFF)));
  const hn::Rebind<hwy::float16_t, DF> df16;
  return hn::Mul(hn::PromoteTo(DF(), hn::BitCast(df16, bits)), hn::Set(DF(), 256.0f));
}

HWY_INLINE VF LoadWeight(const float* p) { return LoadF32(p); }
HWY_INLINE VF LoadWeight(const std::uint16_t* p) { return LoadBF16(p); }
HWY_INLINE VF LoadWeight(const std::uint8_t* p) {
  return WidenF8(hn::LoadU(DI8(), reinterpret_cast<const std::int8_t*>(p)));
}

/// The chunk of inputs from k on.
template <class W>
HWY_INLINE WeightChunk<W> ChunkOf(const PackedMatrix& w, std::int64_t first_panel, std::int64_t k) {
  constexpr std::int64_t kPanel = PackedMatrix::kPanel;
  const W* const data = static_cast<const W*>(w.data());
  WeightChunk<W> chunk = {data + (first_panel * w.k() + k) * kPanel, w.k() * kPanel, nullptr, 0};
  if constexpr (std::is_same_v<W, std::uint8_t>) {
    chunk.scale_stride = w.scale_blocks() * kPanel;
    chunk.scales = w.scales() + first_panel * chunk.scale_stride + k / kChunk * kPanel;
  }
  return chunk;
}

template <>
HWY_INLINE WeightChunk<CodedBf16> ChunkOf<CodedBf16>(const PackedMatrix& w,
                                                     std::int64_t first_panel, std::int64_t k) {
  constexpr std::int64_t kInputs = bf16_code::kRecordInputs;
  constexpr std::int64_t kBytes = bf16_code::kRecordBytes;
  const WeightChunk<CodedBf16> first = {
      static_cast<const std::uint8_t*>(w.data()) + k / kInputs * kBytes, w.k() / kInputs * kBytes,
      w.code(), w.k(), k};
  return first.From(first_panel);
}

/// The same chunk in f32; `buffer`: [kGroupPanels][kChunk][16].
template <class W>
HWY_INLINE WeightChunk<float> Widen(const WeightChunk<W>& chunk, std::int64_t panels,
                                    std::int64_t count, float* buffer) {
  constexpr std::int64_t kPanel = PackedMatrix::kPanel;
  for (std::int64_t p = 0; p < panels; ++p) {
    const W* from = chunk.data + p * chunk.panel_stride;
    float* to = buffer + p * kChunk * kPanel;
    for (std::int64_t i = 0; i < count * kPanel; i += kPanel) {
      PrefetchWeights(from + i + kPrefetchInputs * kPanel);
      for (std::size_t lane = 0; lane < kLanes16; lane += kVectorLanes) {
        StoreF32(LoadWeight(from + i + lane), to + i + lane);
      }
    }
  }
  return {buffer, kChunk * kPanel, chunk.scales, chunk.scale_stride};
}

HWY_INLINE void PrefetchRecord(const std::uint8_t* record) {
  for (std::int64_t line = 0; line < bf16_code::kRecordBytes; line += 64) {
    PrefetchWeights(record + line + kPrefetchInputs * PackedMatrix::kPanel * 3 / 2);
  }
}

HWY_INLINE WeightChunk<float> Widen(const WeightChunk<CodedBf16>& chunk, std::int64_t panels,
                                    std::int64_t count, float* buffer) {
  constexpr std::int64_t kPanel = PackedMatrix::kPanel;
  constexpr std::int64_t kHalf = bf16_code::kHalfInputs;
  for (std::int64_t p = 0; p < panels; ++p) {
    const std::uint8_t* record = chunk.records + p * chunk.panel_stride;
    auto exceptions = chunk.Exceptions(p);
    float* to = buffer + p * kChunk * kPanel;
    for (std::int64_t k = 0; k < count; k += kHalf, to += kHalf * kPanel) {
      const std::int64_t half = k / kHalf % 2;
      if (half == 0) PrefetchRecord(record);
      for (std::size_t v = 0; v < kVectorsPer16; ++v) {
        HalfPairs weights = LoadHalf(record, half, v, chunk.side.upper_bytes);
        if (HWY_UNLIKELY(exceptions.half() == k)) weights = WithExceptions(weights, v, exceptions);
        float* const out = to + v * kVectorLanes;
        StoreF32(weights.Input<0>(), out);
        StoreF32(weights.Input<1>(), out + kPanel);
        StoreF32(weights.Input<2>(), out + 2 * kPanel);
        StoreF32(weights.Input<3>(), out + 3 * kPanel);
      }
      while (HWY_UNLIKELY(exceptions.half() == k)) exceptions.Advance();
      if (half == 1) record += bf16_code::kRecordBytes;
    }
  }
  return {buffer, kChunk * kPanel, nullptr, 0};
}

/// Continues the chains of kRows x (kPanels * 16) outputs over `count` inputs; with scales, adds
/// the scaled chain of the chunk. x: [kRows][kChunk]; acc: [kRows][kGroupOutputs].
template <int kRows, int kPanels, class W>
HWY_INLINE void MultiplyTile(const WeightChunk<W>& w, const float* x, std::int64_t count,
                             float* acc) {
  constexpr int kPerPanel = static_cast<int>(kVectorsPer16);
  constexpr int kVectors = kPanels * kPerPanel;
  VF sum[kRows][kVectors];
  MOESAIC_UNROLL for (int r = 0; r < kRows; ++r) {
    MOESAIC_UNROLL for (int v = 0; v < kVectors; ++v) {
      sum[r][v] = w.scales != nullptr ? hn::Zero(DF())
                                      : LoadF32(acc + r * kGroupOutputs + v * kVectorLanes);
    }
  }
  for (std::int64_t k = 0; k < count; ++k) {
    VF weights[kVectors];
    MOESAIC_UNROLL for (int v = 0; v < kVectors; ++v) {
      const W* p = w.data + v / kPerPanel * w.panel_stride + k * PackedMatrix::kPanel;
      if (v % kPerPanel == 0) PrefetchWeights(p + kPrefetchInputs * PackedMatrix::kPanel);
      weights[v] = LoadWeight(p + v % kPerPanel * kVectorLanes);
    }
    MOESAIC_UNROLL for (int r = 0; r < kRows; ++r) {
      const VF value = hn::Set(DF(), x[r * kChunk + k]);
      MOESAIC_UNROLL for (int v = 0; v < kVectors; ++v) {
        sum[r][v] = Fma(value, weights[v], sum[r][v]);
      }
    }
  }
  MOESAIC_UNROLL for (int v = 0; v < kVectors; ++v) {
    MOESAIC_UNROLL for (int r = 0; r < kRows; ++r) {
      float* const out = acc + r * kGroupOutputs + v * kVectorLanes;
      if (w.scales != nullptr) {
        const float* scales = w.scales + v / kPerPanel * w.scale_stride;
        const VF scale = LoadF32(scales + v % kPerPanel * kVectorLanes);
        sum[r][v] = Fma(sum[r][v], scale, LoadF32(out));
      }
      StoreF32(sum[r][v], out);
    }
  }
}

/// Decoded weights take registers too.
template <>
constexpr int PanelsOf<CodedBf16>(int rows) {
  return rows <= 5 ? 4 : 2;
}

/// sum[r][p] += x[r] times input kInput of weights[p], for all rows and panels.
template <int kInput, int kRows, int kPanels>
HWY_INLINE void AddInput(const HalfPairs (&weights)[kPanels], const float* x,
                         VF (&sum)[kRows][kPanels]) {
  VF wide[kPanels];
  MOESAIC_UNROLL for (int p = 0; p < kPanels; ++p) wide[p] = weights[p].template Input<kInput>();
  MOESAIC_UNROLL for (int r = 0; r < kRows; ++r) {
    const VF value = hn::Set(DF(), x[r * kChunk + kInput]);
    MOESAIC_UNROLL for (int p = 0; p < kPanels; ++p) sum[r][p] = Fma(value, wide[p], sum[r][p]);
  }
}

/// The same for coded weights, where kTilesReadCoded: a vector is a panel's 16 outputs.
template <int kRows, int kPanels>
HWY_INLINE void MultiplyTile(const WeightChunk<CodedBf16>& w, const float* x, std::int64_t count,
                             float* acc) {
  constexpr std::int64_t kPanel = PackedMatrix::kPanel;
  VF sum[kRows][kPanels];
  MOESAIC_UNROLL for (int r = 0; r < kRows; ++r) {
    MOESAIC_UNROLL for (int p = 0; p < kPanels; ++p) {
      sum[r][p] = LoadF32(acc + r * kGroupOutputs + p * kPanel);
    }
  }
  bf16_code::ExceptionCursor exceptions[kPanels];
  MOESAIC_UNROLL for (int p = 0; p < kPanels; ++p) exceptions[p] = w.Exceptions(p);
  for (std::int64_t k = 0; k < count; k += bf16_code::kHalfInputs) {
    const std::int64_t half = k / bf16_code::kHalfInputs % 2;
    HalfPairs weights[kPanels];
    MOESAIC_UNROLL for (int p = 0; p < kPanels; ++p) {
      const std::uint8_t* const record =
          w.records + p * w.panel_stride + k / bf16_code::kRecordInputs * bf16_code::kRecordBytes;
      if (half == 0) PrefetchRecord(record);
      weights[p] = LoadHalf(record, half, 0, w.side.upper_bytes);
      if (HWY_UNLIKELY(exceptions[p].half() == k)) {
        weights[p] = WithExceptions(weights[p], 0, exceptions[p]);
        while (exceptions[p].half() == k) exceptions[p].Advance();
      }
    }
    AddInput<0>(weights, x + k, sum);
    AddInput<1>(weights, x + k, sum);
    AddInput<2>(weights, x + k, sum);
    AddInput<3>(weights, x + k, sum);
  }
  MOESAIC_UNROLL for (int r = 0; r < kRows; ++r) {
    MOESAIC_UNROLL for (int p = 0; p < kPanels; ++p) {
      StoreF32(sum[r][p], acc + r * kGroupOutputs + p * kPanel);
    }
  }
}

/// All `panels` of a group for a tile of kRows rows.
template <int kRows, class W>
HWY_NOINLINE void MultiplyRows(const WeightChunk<W>& w, std::int64_t panels, const float* x,
                               std::int64_t count, float* acc) {
  constexpr std::int64_t kPanel = PackedMatrix::kPanel;
  constexpr int kPanels = PanelsOf<W>(kRows);
  std::int64_t p = 0;
  for (; p + kPanels <= panels; p += kPanels) {
    MultiplyTile<kRows, kPanels>(w.From(p), x, count, acc + p * kPanel);
  }
  for (; p < panels; ++p) MultiplyTile<kRows, 1>(w.From(p), x, count, acc + p * kPanel);
}

template <class W>
using MultiplyRowsFn = void (*)(const WeightChunk<W>&, std::int64_t, const float*, std::int64_t,
                                float*);

template <class W, std::size_t... kIndex>
constexpr std::array<MultiplyRowsFn<W>, sizeof...(kIndex)> MultiplyRowsTable(
    std::index_sequence<kIndex...>) {
  return {&MultiplyRows<static_cast<int>(kIndex) + 1, W>...};
}

/// [rows - 1] multiplies a tile of that many rows.
template <class W>
inline constexpr auto kMultiplyRows =
    MultiplyRowsTable<W>(std::make_index_sequence<kMaxTileRows>());

template <class X>
HWY_INLINE void CopyRow(const X* from, std::int64_t count, float* to) {
  std::int64_t i = 0;
  for (; i + static_cast<std::int64_t>(kVectorLanes) <= count; i += kVectorLanes) {
    StoreF32(LoadAs(from + i), to + i);
  }
  for (; i < count; ++i) to[i] = ToFloat(from[i]);
}

/// Calls tile(first row, rows) for m rows in tiles of nearly equal height: 7 + 6 rather than 12
/// + 1.
template <class Tile>
HWY_INLINE void ForEachTile(std::int64_t m, Tile tile) {
  const std::int64_t tiles = (m + kMaxTileRows - 1) / kMaxTileRows;
  for (std::int64_t t = 0; t < tiles; ++t) {
    const std::int64_t begin = m * t / tiles;
    tile(begin, m * (t + 1) / tiles - begin);
  }
}

/// Adds a chunk's products to acc [m][kGroupOutputs], tile by tile.
template <class W, class X>
HWY_INLINE void MultiplyChunk(const WeightChunk<W>& chunk, std::int64_t panels,
                              const X* const* rows, std::int64_t m, std::int64_t k,
                              std::int64_t count, float* acc) {
  HWY_ALIGN float x[kMaxTileRows * kChunk];
  ForEachTile(m, [&](std::int64_t begin, std::int64_t height) HWY_ATTR {
    for (std::int64_t r = 0; r < height; ++r) CopyRow(rows[begin + r] + k, count, x + r * kChunk);
    kMultiplyRows<W>[height - 1](chunk, panels, x, count, acc + begin * kGroupOutputs);
  });
}

/// Rows above which weights are widened into a buffer for all tiles, rather than in registers by
/// each tile: the buffer costs about as much as widening three times.
inline constexpr std::int64_t kWidenOnceRows = 3 * kMaxTileRows;

/// MultiplyGroup for storage W.
template <class W, class X>
HWY_NOINLINE void MultiplyGroupOf(const PackedMatrix& w, std::int64_t first_panel,
                                  std::int64_t panels, const X* const* rows, std::int64_t m,
                                  float* acc) {
  HWY_ALIGN float buffer[kGroupPanels * kChunk * PackedMatrix::kPanel];
  constexpr bool kTilesRead = kTilesReadCoded || !std::is_same_v<W, CodedBf16>;
  const bool widen = !kTilesRead || (m > kWidenOnceRows && !std::is_same_v<W, float>);
  for (std::int64_t k = 0; k < w.k(); k += kChunk) {
    const std::int64_t count = std::min(kChunk, w.k() - k);
    const WeightChunk<W> chunk = ChunkOf<W>(w, first_panel, k);
    if (widen) {
      MultiplyChunk(Widen(chunk, panels, count, buffer), panels, rows, m, k, count, acc);
    } else if constexpr (kTilesRead) {
      MultiplyChunk(chunk, panels, rows, m, k, count, acc);
    }
  }
}

#if HWY_TARGET == HWY_AVX3
static_assert(kDotInputs == kChunk && kDotOutputs == kGroupOutputs);

/// Inputs [k, k + count) of a row as DotTileFn takes them.
HWY_INLINE void CopyPairs(const std::uint16_t* row, std::int64_t count, std::uint32_t* to) {
  constexpr auto kStep = static_cast<std::int64_t>(2 * kVectorLanes);
  std::int64_t i = 0;
  for (; i + kStep <= count; i += kStep, to += kVectorLanes) {
    const auto pairs = hn::LoadU(DU(), reinterpret_cast<const std::uint32_t*>(row + i));
    hn::StoreU(hn::RotateRight<16>(pairs), DU(), to);
  }
  const auto at = [&](std::int64_t j) { return j < count ? row[j] : std::uint32_t{0}; };
  const std::int64_t padded = (count + 3) / 4 * 4;
  for (; i < padded; i += 2) *to++ = at(i) << 16 | at(i + 1);
}

/// MultiplyGroupOf for bf16 rows by dot products.
template <class W>
inline HWY_NOINLINE void MultiplyDotGroup(const DotTileFn<W>* tiles_of_rows, const PackedMatrix& w,
                                          std::int64_t first_panel, std::int64_t panels,
                                          const std::uint16_t* const* rows, std::int64_t m,
                                          float* acc) {
  HWY_ALIGN std::uint32_t pairs[kMaxTileRows * kDotPairs];
  for (std::int64_t k = 0; k < w.k(); k += kChunk) {
    const std::int64_t count = std::min(kChunk, w.k() - k);
    const WeightChunk<W> chunk = ChunkOf<W>(w, first_panel, k);
    ForEachTile(m, [&](std::int64_t begin, std::int64_t height) HWY_ATTR {
      for (std::int64_t r = 0; r < height; ++r) {
        CopyPairs(rows[begin + r] + k, count, pairs + r * kDotPairs);
      }
      tiles_of_rows[height - 1](chunk, panels, pairs, count, acc + begin * kGroupOutputs);
    });
  }
}

HWY_INLINE void MultiplyDotGroup(const DotTiles& tiles, const PackedMatrix& w,
                                 std::int64_t first_panel, std::int64_t panels,
                                 const std::uint16_t* const* rows, std::int64_t m, float* acc) {
  if (w.coded()) return MultiplyDotGroup(tiles.coded, w, first_panel, panels, rows, m, acc);
  if (w.storage() == base::DType::kBF16) {
    return MultiplyDotGroup(tiles.bf16, w, first_panel, panels, rows, m, acc);
  }
  MultiplyDotGroup(tiles.fp8, w, first_panel, panels, rows, m, acc);
}
#endif  // HWY_TARGET == HWY_AVX3

/// MultiplyGroup for weights W of 16 or 8 bits.
template <class W, class X>
HWY_INLINE void MultiplyNarrowGroup(const PackedMatrix& w, std::int64_t first_panel,
                                    std::int64_t panels, const X* const* rows, std::int64_t m,
                                    float* acc) {
  constexpr bool kBf16Rows = std::is_same_v<X, std::uint16_t>;
  const FlushSubnormals flush(kBf16Rows);
#if HWY_TARGET == HWY_AVX3
  if constexpr (kBf16Rows) {
    if (const DotTiles* tiles = Bf16DotTiles()) {
      return MultiplyDotGroup(*tiles, w, first_panel, panels, rows, m, acc);
    }
  }
#endif
  MultiplyGroupOf<W>(w, first_panel, panels, rows, m, acc);
}

/// acc[i][j] = output kGroupOutputs * group + j of row rows[i], i in [0, m), m <= kBlockRows.
/// rows[i]: [k] f32 or bf16. Outputs beyond n hold 0.
template <class X>
HWY_INLINE void MultiplyGroup(const PackedMatrix& w, std::int64_t group, const X* const* rows,
                              std::int64_t m, float* acc) {
  const std::int64_t first_panel = group * kGroupPanels;
  const std::int64_t panels = std::min(kGroupPanels, w.panels() - first_panel);
  std::fill(acc, acc + m * kGroupOutputs, 0.0f);
  switch (w.storage()) {
    case base::DType::kF32:
      return MultiplyGroupOf<float>(w, first_panel, panels, rows, m, acc);
    case base::DType::kBF16:
      if (w.coded()) return MultiplyNarrowGroup<CodedBf16>(w, first_panel, panels, rows, m, acc);
      return MultiplyNarrowGroup<std::uint16_t>(w, first_panel, panels, rows, m, acc);
    default:
      return MultiplyNarrowGroup<std::uint8_t>(w, first_panel, panels, rows, m, acc);
  }
}

/// Writes the valid outputs of a group's accumulator row, rounded once.
template <class Y>
HWY_INLINE void StoreOutputs(const float* acc, std::int64_t count, Y* y) {
  std::int64_t i = 0;
  for (; i + static_cast<std::int64_t>(kVectorLanes) <= count; i += kVectorLanes) {
    StoreAs(LoadF32(acc + i), y + i);
  }
  for (; i < count; ++i) StoreScalar(acc[i], y + i);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace moesaic::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
