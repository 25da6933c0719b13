// The int8 tile with AVX-512 VNNI, an instruction set that Highway 1.0.3 has no target for.
#include <array>
#include <atomic>
#include <utility>

#include "kernels/int8_tile.h"
#include "kernels/simd_targets.h"
// After simd_targets.h.
#include "kernels/x86_intrinsics.h"

namespace moesaic::kernels {
namespace {
// Process-wide, as Highway's dispatch tables are (kernels/simd.h).
std::atomic<bool> vnni_allowed{true};
}  // namespace

void AllowVnni(bool allowed) { vnni_allowed.store(allowed, std::memory_order_relaxed); }

#if !HWY_ARCH_X86
bool HaveVnni() { return false; }
const Int8TileFn* VnniInt8Tiles() { return nullptr; }
#else

bool HaveVnni() {
  static const bool have =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
  return have;
}

namespace {

// Between these nothing but what the target may run. (WeightChunk is compiled outside of them, for
// all.)
HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512vl,avx512vnni")

/// Bytes ahead of use at which weights are prefetched: one group of a panel.
constexpr std::int64_t kPrefetchBytes = kInt8Group * PackedMatrix::kPanel;

/// sum += the four products of each lane. Not the intrinsic: with it g++ 12 keeps most accumulators
/// of a large tile in memory (half the speed).
inline __attribute__((always_inline)) void AddQuad(__m512i& sum, __m512i weights, __m512i values) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(weights), "v"(values));
}

template <int kRows, int kPanels>
inline __attribute__((always_inline)) void MultiplyTile(const Int8Chunk& w, const Int8Tile& x,
                                                        std::int64_t quads, float* acc) {
  constexpr std::int64_t kPanel = PackedMatrix::kPanel;
  __m512i sum[kRows][kPanels];
  MOESAIC_UNROLL for (int r = 0; r < kRows; ++r) {
    MOESAIC_UNROLL for (int p = 0; p < kPanels; ++p) sum[r][p] = _mm512_set1_epi32(x.offsets[r]);
  }
  MOESAIC_UNROLL for (int p = 0; p < kPanels; ++p) {
    __builtin_prefetch(w.scales + p * w.scale_stride + kInt8ScalesAhead * kPanel, 0, 2);
  }
  const std::uint8_t* weights = w.data;
  const std::int8_t* values = x.values;
  for (std::int64_t quad = 0; quad < quads; ++quad) {
    __m512i wide[kPanels];
    MOESAIC_UNROLL for (int p = 0; p < kPanels; ++p) {
      const std::uint8_t* from = weights + p * w.panel_stride;
      __builtin_prefetch(from + kPrefetchBytes, 0, 2);  // as linear-inl.h
      wide[p] = _mm512_loadu_si512(from);
    }
    MOESAIC_UNROLL for (int r = 0; r < kRows; ++r) {
      int four;
      __builtin_memcpy(&four, values + r * kInt8Group, sizeof(four));
      const __m512i value = _mm512_set1_epi32(four);
      MOESAIC_UNROLL for (int p = 0; p < kPanels; ++p) { AddQuad(sum[r][p], wide[p], value); }
    }
    weights += kPanel * kInt8Quad;
    values += kInt8Quad;
  }
  __m512 scales[kPanels];
  MOESAIC_UNROLL for (int p = 0; p < kPanels; ++p) {
    scales[p] = _mm512_loadu_ps(w.scales + p * w.scale_stride);
  }
  MOESAIC_UNROLL for (int r = 0; r < kRows; ++r) {
    const __m512 row_scale = _mm512_set1_ps(x.scales[r]);
    MOESAIC_UNROLL for (int p = 0; p < kPanels; ++p) {
      float* out = acc + r * kInt8Outputs + p * kPanel;
      const __m512 scale = _mm512_mul_ps(row_scale, scales[p]);
      _mm512_storeu_ps(out,
                       _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[r][p]), scale, _mm512_loadu_ps(out)));
    }
  }
}

template <int kRows>
void MultiplyRows(const Int8Chunk& w, std::int64_t panels, const Int8Tile& x, std::int64_t quads,
                  float* acc) {
  constexpr int kPanels = kRows <= 6 ? 4 : 2;
  std::int64_t p = 0;
  for (; p + kPanels <= panels; p += kPanels) {
    MultiplyTile<kRows, kPanels>(w.From(p), x, quads, acc + p * PackedMatrix::kPanel);
  }
  for (; p < panels; ++p) {
    MultiplyTile<kRows, 1>(w.From(p), x, quads, acc + p * PackedMatrix::kPanel);
  }
}

HWY_POP_ATTRIBUTES

template <int... kIndex>
constexpr std::array<Int8TileFn, sizeof...(kIndex)> Table(std::integer_sequence<int, kIndex...>) {
  return {&MultiplyRows<kIndex + 1>...};
}

constexpr auto kTable = Table(std::make_integer_sequence<int, 12>());

}  // namespace

const Int8TileFn* VnniInt8Tiles() {
  return HaveVnni() && vnni_allowed.load(std::memory_order_relaxed) ? kTable.data() : nullptr;
}
#endif

}  // namespace moesaic::kernels
