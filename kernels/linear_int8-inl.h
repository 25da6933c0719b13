// The matrix product with int8 weights, per target: include inside the part of a file that Highway
// compiles once per target. Contract: kernels/linear.h, kernels/int8.h.
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "kernels/int8_tile.h"
#include "kernels/linear-inl.h"
#include "kernels/rows.h"

#if defined(MOESAIC_KERNELS_LINEAR_INT8_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MOESAIC_KERNELS_LINEAR_INT8_INL_H_
#undef MOESAIC_KERNELS_LINEAR_INT8_INL_H_
#else
#define MOESAIC_KERNELS_LINEAR_INT8_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace moesaic::kernels {
namespace HWY_NAMESPACE {

static_assert(kInt8Outputs == kGroupOutputs && kInt8Group == kChunk);
static_assert(kMaxTileRows <= 12);

using VI = hn::Vec<DI>;

// ---- activations

/// QuantizeInt8 of one group of f32 values; q is padded with zeros to kInt8Group.
HWY_INLINE float QuantizeGroup(const float* x, std::int64_t count, std::int8_t* q,
                               std::int32_t* offset) {
  const DI di;
  const DU du;
  const auto magnitude_bits = hn::Set(du, 0x7FFFFFFFu);
  HWY_ALIGN float padded[kInt8Group];
  if (count < kInt8Group) {
    std::fill(std::copy(x, x + count, padded), padded + kInt8Group, 0.0f);
    x = padded;
  }
  auto largest = hn::Zero(di);
  for (std::int64_t i = 0; i < kInt8Group; i += kVectorLanes) {
    const auto bits = hn::And(hn::BitCast(du, LoadF32(x + i)), magnitude_bits);
    largest = hn::Max(largest, hn::BitCast(di, bits));
  }
  const float magnitude = std::bit_cast<float>(hn::GetLane(hn::MaxOfLanes(di, largest)));
  if (!(magnitude >= int8::kSmallest && magnitude <= std::numeric_limits<float>::max())) {
    std::memset(q, 0, kInt8Group);
    *offset = 0;
    return magnitude < int8::kSmallest ? 0.0f : std::numeric_limits<float>::quiet_NaN();
  }
  const VF factor = hn::Set(DF(), int8::kMax / magnitude);
  const VF magic = hn::Set(DF(), int8::kRoundMagic);
  const auto magic_bits = hn::BitCast(di, magic);
  const hn::Rebind<std::int8_t, DF> di8;
  VI sum = hn::Zero(di);
  for (std::int64_t i = 0; i < kInt8Group; i += kVectorLanes) {
    const VF rounded = hn::Add(hn::Mul(LoadF32(x + i), factor), magic);
    const VI value = hn::Sub(hn::BitCast(di, rounded), magic_bits);
    sum = hn::Add(sum, value);
    hn::StoreU(hn::DemoteTo(di8, value), di8, q + i);
  }
  *offset = -int8::kWeightOffset * hn::GetLane(hn::SumOfLanes(di, sum));
  return magnitude / int8::kMax;
}

/// Quantises x [k] as row `row`.
template <class X>
HWY_INLINE void QuantizeRow(const X* x, std::int64_t k, std::int64_t row, const Int8Rows& rows) {
  HWY_ALIGN float wide[kInt8Group];
  for (std::int64_t g = 0; g < rows.groups; ++g) {
    const std::int64_t at = row * rows.groups + g;
    const std::int64_t count = std::min(kInt8Group, k - g * kInt8Group);
    const X* from = x + g * kInt8Group;
    const float* values = wide;
    if constexpr (std::is_same_v<X, float>) {
      values = from;
    } else {
      CopyRow(from, count, wide);
    }
    rows.scales[at] =
        QuantizeGroup(values, count, rows.values + at * kInt8Group, rows.offsets + at);
  }
}

/// Quantises every row of x [rows, k], f32 or bf16.
HWY_INLINE void QuantizeRows(const base::TensorView& x, std::int64_t row_stride,
                             const Int8Rows& rows, base::ComputePool& pool) {
  const std::int64_t k = x.dim(1);
  ParallelRows(pool, x.dim(0), k, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
    for (std::int64_t row = begin; row < end; ++row) {
      if (x.dtype == base::DType::kF32) {
        QuantizeRow(x.As<const float>() + row * row_stride, k, row, rows);
      } else {
        QuantizeRow(x.As<const std::uint16_t>() + row * row_stride, k, row, rows);
      }
    }
  });
}

// ---- the tile for instruction sets without VNNI

/// A tile's values as the multiplication below takes them: quads (x0, x2, x1, x3) of 16 bits.
struct WideTile {
  alignas(64) std::int16_t values[kMaxTileRows * kInt8Group];
  float scales[kMaxTileRows];
  std::int32_t offsets[kMaxTileRows];
};

/// The four weights of each lane, ready to be multiplied.
struct WideQuad {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  hn::Vec<hn::Repartition<std::int16_t, DI>> even, odd;
#else
  VI weights[kInt8Quad];
#endif
};

HWY_INLINE WideQuad LoadQuad(const std::uint8_t* p) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  const hn::Repartition<std::uint16_t, DI> du16;
  const hn::Repartition<std::int16_t, DI> di16;
  const auto bytes = hn::BitCast(du16, hn::LoadU(hn::Repartition<std::uint8_t, DI>(), p));
  return {hn::BitCast(di16, hn::And(bytes, hn::Set(du16, std::uint16_t{0xFF}))),
          hn::BitCast(di16, hn::ShiftRight<8>(bytes))};
#else
  const auto bytes = hn::LoadU(DU(), reinterpret_cast<const std::uint32_t*>(p));
  const auto low = hn::Set(DU(), 0xFFu);
  const DI di;
  return {{hn::BitCast(di, hn::And(bytes, low)),
           hn::BitCast(di, hn::And(hn::ShiftRight<8>(bytes), low)),
           hn::BitCast(di, hn::And(hn::ShiftRight<16>(bytes), low)),
           hn::BitCast(di, hn::ShiftRight<24>(bytes))}};
#endif
}

/// sum + the four products of each lane, exactly. x: (x0, x2, x1, x3). Bytes times bytes in pairs
/// would saturate at 16 bits; 16 bits times 16 bits do not at 32.
HWY_INLINE VI AddQuad(VI sum, const WideQuad& w, const std::int16_t* x) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  const DI di;
  const hn::Repartition<std::int16_t, DI> di16;
  std::int32_t even, odd;
  std::memcpy(&even, x, sizeof(even));
  std::memcpy(&odd, x + 2, sizeof(odd));
  VI unused = hn::Zero(di);
  sum =
      hn::ReorderWidenMulAccumulate(di, w.even, hn::BitCast(di16, hn::Set(di, even)), sum, unused);
  return hn::ReorderWidenMulAccumulate(di, w.odd, hn::BitCast(di16, hn::Set(di, odd)), sum, unused);
#else
  const DI di;
  sum = hn::Add(sum, hn::Mul(w.weights[0], hn::Set(di, x[0])));
  sum = hn::Add(sum, hn::Mul(w.weights[2], hn::Set(di, x[1])));
  sum = hn::Add(sum, hn::Mul(w.weights[1], hn::Set(di, x[2])));
  return hn::Add(sum, hn::Mul(w.weights[3], hn::Set(di, x[3])));
#endif
}

/// As Int8TileFn, for kPanels panels.
template <int kRows, int kPanels>
HWY_INLINE void MultiplyInt8Tile(const Int8Chunk& w, const WideTile& x, std::int64_t quads,
                                 float* acc) {
  constexpr int kPerPanel = static_cast<int>(kVectorsPer16);
  constexpr int kVectors = kPanels * kPerPanel;
  VI sum[kRows][kVectors];
  MOESAIC_UNROLL for (int r = 0; r < kRows; ++r) {
    MOESAIC_UNROLL for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::Set(DI(), x.offsets[r]);
  }
  MOESAIC_UNROLL for (int p = 0; p < kPanels; ++p) {
    PrefetchWeights(w.scales + p * w.scale_stride + kInt8ScalesAhead * PackedMatrix::kPanel);
  }
  constexpr std::int64_t kQuadBytes = kInt8Quad * PackedMatrix::kPanel;
  for (std::int64_t quad = 0; quad < quads; ++quad) {
    MOESAIC_UNROLL for (int v = 0; v < kVectors; ++v) {
      const std::uint8_t* p = w.data + v / kPerPanel * w.panel_stride + quad * kQuadBytes;
      if (v % kPerPanel == 0) PrefetchWeights(p + kInt8GroupQuads * kQuadBytes);
      const WideQuad weights = LoadQuad(p + v % kPerPanel * kVectorLanes * kInt8Quad);
      MOESAIC_UNROLL for (int r = 0; r < kRows; ++r) {
        sum[r][v] = AddQuad(sum[r][v], weights, x.values + r * kInt8Group + quad * kInt8Quad);
      }
    }
  }
  MOESAIC_UNROLL for (int v = 0; v < kVectors; ++v) {
    const VF scales =
        LoadF32(w.scales + v / kPerPanel * w.scale_stride + v % kPerPanel * kVectorLanes);
    MOESAIC_UNROLL for (int r = 0; r < kRows; ++r) {
      float* out = acc + r * kInt8Outputs + v * kVectorLanes;
      const VF scale = hn::Mul(hn::Set(DF(), x.scales[r]), scales);
      StoreF32(Fma(hn::ConvertTo(DF(), sum[r][v]), scale, LoadF32(out)), out);
    }
  }
}

template <int kRows>
HWY_NOINLINE void MultiplyInt8Rows(const Int8Chunk& w, std::int64_t panels, const WideTile& x,
                                   std::int64_t quads, float* acc) {
  constexpr int kPanels = TilePanels(kRows);
  std::int64_t p = 0;
  for (; p + kPanels <= panels; p += kPanels) {
    MultiplyInt8Tile<kRows, kPanels>(w.From(p), x, quads, acc + p * PackedMatrix::kPanel);
  }
  for (; p < panels; ++p) {
    MultiplyInt8Tile<kRows, 1>(w.From(p), x, quads, acc + p * PackedMatrix::kPanel);
  }
}

using WideTileFn = void (*)(const Int8Chunk&, std::int64_t, const WideTile&, std::int64_t, float*);

template <int... kIndex>
constexpr std::array<WideTileFn, sizeof...(kIndex)> WideTileTable(
    std::integer_sequence<int, kIndex...>) {
  return {&MultiplyInt8Rows<kIndex + 1>...};
}

/// [rows - 1] multiplies a tile of that many rows.
inline constexpr auto kWideTiles = WideTileTable(std::make_integer_sequence<int, kMaxTileRows>());

// ---- groups of panels

HWY_INLINE void CopyTile(const Int8Rows& from, std::int64_t group, const std::int64_t* rows,
                         std::int64_t height, Int8Tile& to) {
  for (std::int64_t r = 0; r < height; ++r) {
    const std::int64_t at = rows[r] * from.groups + group;
    std::memcpy(to.values + r * kInt8Group, from.values + at * kInt8Group, kInt8Group);
    to.scales[r] = from.scales[at];
    to.offsets[r] = from.offsets[at];
  }
}

HWY_INLINE void CopyTile(const Int8Rows& from, std::int64_t group, const std::int64_t* rows,
                         std::int64_t height, WideTile& to) {
  for (std::int64_t r = 0; r < height; ++r) {
    const std::int64_t at = rows[r] * from.groups + group;
    const std::int8_t* x = from.values + at * kInt8Group;
    std::int16_t* wide = to.values + r * kInt8Group;
    for (std::int64_t i = 0; i < kInt8Group; i += kInt8Quad) {
      wide[i] = x[i];
      wide[i + 1] = x[i + 2];
      wide[i + 2] = x[i + 1];
      wide[i + 3] = x[i + 3];
    }
    to.scales[r] = from.scales[at];
    to.offsets[r] = from.offsets[at];
  }
}

template <class Tile, class TileFn>
HWY_NOINLINE void MultiplyInt8GroupWith(const TileFn* tiles_of_rows, const PackedMatrix& w,
                                        std::int64_t group, const Int8Rows& x,
                                        const std::int64_t* rows, std::int64_t m, float* acc) {
  constexpr std::int64_t kQuadBytes = kInt8Quad * PackedMatrix::kPanel;
  const std::int64_t first_panel = group * kGroupPanels;
  const std::int64_t panels = std::min(kGroupPanels, w.panels() - first_panel);
  const std::int64_t quads = (w.k() + kInt8Quad - 1) / kInt8Quad;
  const auto* data = static_cast<const std::uint8_t*>(w.data());
  Tile tile;
  for (std::int64_t g = 0; g < x.groups; ++g) {
    const Int8Chunk chunk = {data + (first_panel * quads + g * kInt8GroupQuads) * kQuadBytes,
                             quads * kQuadBytes,
                             w.scales() + (first_panel * x.groups + g) * PackedMatrix::kPanel,
                             x.groups * PackedMatrix::kPanel};
    const std::int64_t count = std::min(kInt8GroupQuads, quads - g * kInt8GroupQuads);
    ForEachTile(m, [&](std::int64_t begin, std::int64_t height) HWY_ATTR {
      CopyTile(x, g, rows + begin, height, tile);
      tiles_of_rows[height - 1](chunk, panels, tile, count, acc + begin * kGroupOutputs);
    });
  }
}

/// MultiplyGroup for int8 storage: acc[i][j] = output kGroupOutputs * group + j of the quantised
/// row rows[i], i in [0, m).
HWY_INLINE void MultiplyInt8Group(const PackedMatrix& w, std::int64_t group, const Int8Rows& x,
                                  const std::int64_t* rows, std::int64_t m, float* acc) {
  std::fill(acc, acc + m * kGroupOutputs, 0.0f);
#if HWY_TARGET == HWY_AVX3
  if (const Int8TileFn* tiles = VnniInt8Tiles()) {
    return MultiplyInt8GroupWith<Int8Tile>(tiles, w, group, x, rows, m, acc);
  }
#endif
  MultiplyInt8GroupWith<WideTile>(kWideTiles.data(), w, group, x, rows, m, acc);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace moesaic::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
