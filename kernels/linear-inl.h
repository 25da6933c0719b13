// The matrix product of all ops, per target: include inside the part of a file that Highway
// compiles once per target. Contract: kernels/linear.h.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "kernels/packed_matrix.h"
#include "kernels/simd_math-inl.h"

#if defined(MOESAIC_KERNELS_LINEAR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MOESAIC_KERNELS_LINEAR_INL_H_
#undef MOESAIC_KERNELS_LINEAR_INL_H_
#else
#define MOESAIC_KERNELS_LINEAR_INL_H_
#endif

// Loops over registers must unroll, or the accumulators live in memory.
#ifndef MOESAIC_UNROLL
#if HWY_COMPILER_CLANG
#define MOESAIC_UNROLL _Pragma("unroll")
#else
#define MOESAIC_UNROLL _Pragma("GCC unroll 32")
#endif
#endif

HWY_BEFORE_NAMESPACE();
namespace moesaic::kernels {
namespace HWY_NAMESPACE {

/// Panels of one work item: 64 outputs, enough independent chains to hide the FMA latency of a
/// single row, few enough that a chunk of them fits the first-level cache.
inline constexpr std::int64_t kGroupPanels = 4;
inline constexpr std::int64_t kGroupOutputs = kGroupPanels * PackedMatrix::kPanel;

/// Inputs whose widened weights (4 panels: 32 KiB) and activations stay in the first-level cache
/// while all row tiles use them; one fp8 scale block. Accumulators wait in memory between chunks,
/// as f32, so each output is still one chain.
inline constexpr std::int64_t kChunk = PackedMatrix::kScaleBlock;

/// Rows of a tile: rows x panels accumulators, plus weights and a broadcast, fill the register file
/// (32 registers; 16 on AVX2).
#if HWY_TARGET == HWY_AVX2
inline constexpr int kMaxTileRows = 6;
inline constexpr int TilePanels(int rows) { return rows == 1 ? 4 : rows <= 3 ? 2 : 1; }
#elif HWY_TARGET <= HWY_AVX3
inline constexpr int kMaxTileRows = 12;
inline constexpr int TilePanels(int rows) { return rows <= 6 ? 4 : 2; }
#elif HWY_TARGET == HWY_NEON
inline constexpr int kMaxTileRows = 6;
inline constexpr int TilePanels(int rows) { return rows == 1 ? 4 : rows <= 3 ? 2 : 1; }
#else
inline constexpr int kMaxTileRows = 2;
inline constexpr int TilePanels(int) { return 1; }
#endif

/// Rows of one work item: more would not make the widening of weights noticeably cheaper.
inline constexpr std::int64_t kBlockRows = 4 * kMaxTileRows;

/// Eight e4m3 bits moved into the fields of an f16 mean 2^-8 times as much, subnormals included, so
/// the conversion in hardware is exact; `scale` carries the 2^8.
HWY_INLINE VF WidenF8(hn::Vec<DU8> v, VF scale_times_256) {
  const DU16 du16;
  const auto wide = hn::PromoteTo(du16, v);
  const auto sign = hn::ShiftLeft<8>(hn::And(wide, hn::Set(du16, std::uint16_t{0x80})));
  const auto rest = hn::ShiftLeft<7>(hn::And(wide, hn::Set(du16, std::uint16_t{0x7F})));
  const hn::Rebind<hwy::float16_t, DF> df16;
  return hn::Mul(hn::PromoteTo(DF(), hn::BitCast(df16, hn::Or(sign, rest))), scale_times_256);
}

/// Widens `count` inputs of a panel, [count][16], to f32.
HWY_INLINE void WidenPanel(const std::uint16_t* from, std::int64_t count, float* to) {
  for (std::int64_t i = 0; i < count * PackedMatrix::kPanel; i += kVectorLanes) {
    StoreF32(LoadBF16(from + i), to + i);
  }
}

HWY_INLINE void WidenPanel(const std::uint8_t* from, const float* scales, std::int64_t count,
                           float* to) {
  constexpr std::int64_t kPanel = PackedMatrix::kPanel;
  for (std::size_t lane = 0; lane < kLanes16; lane += kVectorLanes) {
    const VF scale = hn::Mul(LoadF32(scales + lane), hn::Set(DF(), 256.0f));
    for (std::int64_t i = 0; i < count; ++i) {
      const auto bits = hn::LoadU(DU8(), from + i * kPanel + lane);
      StoreF32(WidenF8(bits, scale), to + i * kPanel + lane);
    }
  }
}

/// f32 weights of one chunk of a panel group: panel p at data + p * panel_stride, [count][16].
struct WeightChunk {
  const float* data;
  std::int64_t panel_stride;
};

/// `buffer`: [kGroupPanels][kChunk][16], used unless the weights are f32 already.
HWY_INLINE WeightChunk LoadChunk(const PackedMatrix& w, std::int64_t first_panel,
                                 std::int64_t panels, std::int64_t k_begin, std::int64_t count,
                                 float* buffer) {
  constexpr std::int64_t kPanel = PackedMatrix::kPanel;
  const std::int64_t offset = (first_panel * w.k() + k_begin) * kPanel;
  const std::int64_t panel_stride = w.k() * kPanel;
  if (w.storage() == base::DType::kF32) {
    return {static_cast<const float*>(w.data()) + offset, panel_stride};
  }
  constexpr std::int64_t kBufferStride = kChunk * kPanel;
  for (std::int64_t p = 0; p < panels; ++p) {
    const std::int64_t from = offset + p * panel_stride;
    if (w.storage() == base::DType::kBF16) {
      WidenPanel(static_cast<const std::uint16_t*>(w.data()) + from, count,
                 buffer + p * kBufferStride);
    } else {
      const std::int64_t block = (first_panel + p) * w.scale_blocks() + k_begin / kChunk;
      WidenPanel(static_cast<const std::uint8_t*>(w.data()) + from, w.scales() + block * kPanel,
                 count, buffer + p * kBufferStride);
    }
  }
  return {buffer, kBufferStride};
}

/// Continues the chains of kRows x (kPanels * 16) outputs over `count` inputs.
/// x: [kRows][kChunk]; acc: [kRows][kGroupOutputs].
template <int kRows, int kPanels>
HWY_INLINE void MultiplyTile(const float* w, std::int64_t panel_stride, const float* x,
                             std::int64_t count, float* acc) {
  constexpr int kVectors = kPanels * static_cast<int>(kVectorsPer16);
  constexpr int kPerPanel = static_cast<int>(kVectorsPer16);
  VF sum[kRows][kVectors];
  MOESAIC_UNROLL for (int r = 0; r < kRows; ++r) {
    MOESAIC_UNROLL for (int v = 0; v < kVectors; ++v) {
      sum[r][v] = LoadF32(acc + r * kGroupOutputs + v * kVectorLanes);
    }
  }
  for (std::int64_t k = 0; k < count; ++k) {
    VF weights[kVectors];
    MOESAIC_UNROLL for (int v = 0; v < kVectors; ++v) {
      weights[v] = LoadF32(w + v / kPerPanel * panel_stride + k * PackedMatrix::kPanel +
                           v % kPerPanel * kVectorLanes);
    }
    MOESAIC_UNROLL for (int r = 0; r < kRows; ++r) {
      const VF value = hn::Set(DF(), x[r * kChunk + k]);
      MOESAIC_UNROLL for (int v = 0; v < kVectors; ++v) {
        sum[r][v] = Fma(value, weights[v], sum[r][v]);
      }
    }
  }
  MOESAIC_UNROLL for (int r = 0; r < kRows; ++r) {
    MOESAIC_UNROLL for (int v = 0; v < kVectors; ++v) {
      StoreF32(sum[r][v], acc + r * kGroupOutputs + v * kVectorLanes);
    }
  }
}

/// All `panels` of a group for a tile of kRows rows.
template <int kRows>
HWY_NOINLINE void MultiplyRows(const WeightChunk& w, std::int64_t panels, const float* x,
                               std::int64_t count, float* acc) {
  constexpr int kPanels = TilePanels(kRows);
  std::int64_t p = 0;
  for (; p + kPanels <= panels; p += kPanels) {
    MultiplyTile<kRows, kPanels>(w.data + p * w.panel_stride, w.panel_stride, x, count,
                                 acc + p * PackedMatrix::kPanel);
  }
  for (; p < panels; ++p) {
    MultiplyTile<kRows, 1>(w.data + p * w.panel_stride, w.panel_stride, x, count,
                           acc + p * PackedMatrix::kPanel);
  }
}

using MultiplyRowsFn = void (*)(const WeightChunk&, std::int64_t, const float*, std::int64_t,
                                float*);

template <std::size_t... kIndex>
constexpr std::array<MultiplyRowsFn, sizeof...(kIndex)> MultiplyRowsTable(
    std::index_sequence<kIndex...>) {
  return {&MultiplyRows<static_cast<int>(kIndex) + 1>...};
}

/// [rows - 1] multiplies a tile of that many rows.
inline constexpr auto kMultiplyRows = MultiplyRowsTable(std::make_index_sequence<kMaxTileRows>());

template <class X>
HWY_INLINE void CopyRow(const X* from, std::int64_t count, float* to) {
  std::int64_t i = 0;
  for (; i + static_cast<std::int64_t>(kVectorLanes) <= count; i += kVectorLanes) {
    StoreF32(LoadAs(from + i), to + i);
  }
  for (; i < count; ++i) to[i] = ToFloat(from[i]);
}

/// acc[i][0 .. 64) = outputs [64 * group, 64 * group + 64) of row rows[i], i in [0, m), m <=
/// kBlockRows. rows[i]: [k] f32 or bf16. Lanes beyond n hold 0, panels beyond the last nothing.
template <class X>
HWY_NOINLINE void MultiplyGroup(const PackedMatrix& w, std::int64_t group, const X* const* rows,
                                std::int64_t m, float* acc) {
  HWY_ALIGN float weights[kGroupPanels * kChunk * PackedMatrix::kPanel];
  HWY_ALIGN float x[kMaxTileRows * kChunk];
  const std::int64_t first_panel = group * kGroupPanels;
  const std::int64_t panels = std::min(kGroupPanels, w.panels() - first_panel);
  std::fill(acc, acc + m * kGroupOutputs, 0.0f);
  const std::int64_t tiles = (m + kMaxTileRows - 1) / kMaxTileRows;
  for (std::int64_t k = 0; k < w.k(); k += kChunk) {
    const std::int64_t count = std::min(kChunk, w.k() - k);
    const WeightChunk chunk = LoadChunk(w, first_panel, panels, k, count, weights);
    for (std::int64_t tile = 0; tile < tiles; ++tile) {
      // Tiles of nearly equal height: 7 + 6 rather than 12 + 1.
      const std::int64_t begin = m * tile / tiles;
      const std::int64_t height = m * (tile + 1) / tiles - begin;
      for (std::int64_t r = 0; r < height; ++r) CopyRow(rows[begin + r] + k, count, x + r * kChunk);
      kMultiplyRows[height - 1](chunk, panels, x, count, acc + begin * kGroupOutputs);
    }
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
