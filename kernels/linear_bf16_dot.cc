// The bf16 tile with AVX-512 BF16, an instruction set that Highway 1.0.3 has no target for. Its dot
// product adds the product of the upper halves, then that of the lower ones, each rounded to f32 as
// a fused multiply-add (a product of two bf16 is exact), subnormal numbers counting as zeros.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <limits>
#include <utility>

#include "kernels/bf16_tile.h"
#include "kernels/simd_targets.h"
// After simd_targets.h.
#include "kernels/x86_intrinsics.h"

namespace moesaic::kernels {
namespace {
// Process-wide, as Highway's dispatch tables are (kernels/simd.h).
std::atomic<Bf16Dot> bf16_dot{Bf16Dot::kWhereFaster};
}  // namespace

void UseBf16Dot(Bf16Dot use) { bf16_dot.store(use, std::memory_order_relaxed); }

#if !HWY_ARCH_X86
bool AllowsBf16Dot() { return false; }
const Bf16TileFn* Bf16DotTiles() { return nullptr; }
#else

bool AllowsBf16Dot() {
  static const bool have =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bf16");
  return have && bf16_dot.load(std::memory_order_relaxed) != Bf16Dot::kNever;
}

namespace {

// Between these nothing but what the target may run: no inline function of another header.
HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512vl,avx512bf16")

/// Elements ahead of use at which weights are prefetched: 64 inputs of a panel, as linear-inl.h.
constexpr std::int64_t kPrefetch = 64 * PackedMatrix::kPanel;

/// sum += the two products of each lane. Not the intrinsic, as in linear_int8_vnni.cc.
inline __attribute__((always_inline)) void AddPair(__m512& sum, __m512i weights, __m512i values) {
  asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(weights), "v"(values));
}

template <int kRows, int kPanels>
inline __attribute__((always_inline)) void AddPairs(const __m512i (&wide)[kPanels],
                                                    const std::uint32_t* values,
                                                    __m512 (&sum)[kRows][kPanels]) {
  MOESAIC_UNROLL for (int r = 0; r < kRows; ++r) {
    const __m512i value = _mm512_set1_epi32(static_cast<int>(values[r * kBf16TilePairs]));
    MOESAIC_UNROLL for (int p = 0; p < kPanels; ++p) { AddPair(sum[r][p], wide[p], value); }
  }
}

template <int kRows, int kPanels>
inline __attribute__((always_inline)) void MultiplyTile(const Bf16Chunk& w,
                                                        const std::uint32_t* values,
                                                        std::int64_t inputs, float* acc) {
  constexpr std::int64_t kPanel = PackedMatrix::kPanel;
  __m512 sum[kRows][kPanels];
  MOESAIC_UNROLL for (int r = 0; r < kRows; ++r) {
    MOESAIC_UNROLL for (int p = 0; p < kPanels; ++p) {
      sum[r][p] = _mm512_loadu_ps(acc + r * kBf16Outputs + p * kPanel);
    }
  }
  // Output j of two inputs side by side: the earlier one (element j of 32) above the later one.
  const __m512i lower =
      _mm512_set_epi32(31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16);
  const __m512i beside =
      _mm512_or_si512(lower, _mm512_slli_epi32(_mm512_sub_epi32(lower, _mm512_set1_epi32(16)), 16));
  const std::uint16_t* weights = w.data;
  for (std::int64_t pair = 0; pair < inputs / 2; ++pair) {
    __m512i wide[kPanels];
    MOESAIC_UNROLL for (int p = 0; p < kPanels; ++p) {
      const std::uint16_t* from = weights + p * w.panel_stride;
      __builtin_prefetch(from + kPrefetch, 0, 2);  // as linear-inl.h
      wide[p] = _mm512_permutexvar_epi16(beside, _mm512_loadu_si512(from));
    }
    AddPairs<kRows, kPanels>(wide, values + pair, sum);
    weights += 2 * kPanel;
  }
  if (inputs % 2 != 0) {
    // Beside the last input, -0 times the value's 0: to add -0 changes nothing.
    __m512i wide[kPanels];
    MOESAIC_UNROLL for (int p = 0; p < kPanels; ++p) {
      const __m512i last = _mm512_mask_loadu_epi16(_mm512_set1_epi16(-0x8000), 0xFFFFu,
                                                   weights + p * w.panel_stride);
      wide[p] = _mm512_permutexvar_epi16(beside, last);
    }
    AddPairs<kRows, kPanels>(wide, values + inputs / 2, sum);
  }
  MOESAIC_UNROLL for (int r = 0; r < kRows; ++r) {
    MOESAIC_UNROLL for (int p = 0; p < kPanels; ++p) {
      _mm512_storeu_ps(acc + r * kBf16Outputs + p * kPanel, sum[r][p]);
    }
  }
}

template <int kRows>
void MultiplyRows(const Bf16Chunk& w, std::int64_t panels, const std::uint32_t* pairs,
                  std::int64_t inputs, float* acc) {
  constexpr int kPanels = kRows <= 6 ? 4 : 2;
  std::int64_t p = 0;
  Bf16Chunk from = w;
  const auto next = [&](int count) {
    p += count;
    from.data = w.data + p * w.panel_stride;
  };
  while (p + kPanels <= panels) {
    MultiplyTile<kRows, kPanels>(from, pairs, inputs, acc + p * PackedMatrix::kPanel);
    next(kPanels);
  }
  while (p < panels) {
    MultiplyTile<kRows, 1>(from, pairs, inputs, acc + p * PackedMatrix::kPanel);
    next(1);
  }
}

/// Chains side by side: enough to hide the latency of either instruction.
constexpr int kChains = 12;

/// Two products a lane and step, by dot products or by multiply-adds, in registers.
template <bool kDot>
__attribute__((noinline)) void Products(int steps) {
  __m512 sum[kChains];
  MOESAIC_UNROLL for (int c = 0; c < kChains; ++c) sum[c] = _mm512_setzero_ps();
  __m512 ones = _mm512_set1_ps(1.0f);
  for (int step = 0; step < steps; ++step) {
    MOESAIC_UNROLL for (int c = 0; c < kChains; ++c) {
      if constexpr (kDot) {
        AddPair(sum[c], _mm512_castps_si512(ones), _mm512_castps_si512(ones));
      } else {
        asm volatile("vfmadd231ps %1, %1, %0" : "+v"(sum[c]) : "v"(ones));
        asm volatile("vfmadd231ps %1, %1, %0" : "+v"(sum[c]) : "v"(ones));
      }
    }
  }
  MOESAIC_UNROLL for (int c = 0; c < kChains; ++c) asm volatile("" : : "v"(sum[c]));
}

HWY_POP_ATTRIBUTES

/// Whether this CPU's dot products are at least as fast as its multiply-adds. The kernels have the
/// same bits, so a wrong answer on a busy machine costs time alone.
bool DotIsFaster() {
  constexpr int kRounds = 7;
  constexpr int kSteps = 1000;  // some microseconds
  const auto best_of = [](void (*run)(int)) {
    auto best = std::chrono::steady_clock::duration::max();
    for (int round = 0; round < kRounds; ++round) {
      const auto begin = std::chrono::steady_clock::now();
      run(kSteps);
      best = std::min(best, std::chrono::steady_clock::now() - begin);
    }
    return best;
  };
  return best_of(&Products<true>) < best_of(&Products<false>);
}

template <int... kIndex>
constexpr std::array<Bf16TileFn, sizeof...(kIndex)> Table(std::integer_sequence<int, kIndex...>) {
  return {&MultiplyRows<kIndex + 1>...};
}

constexpr auto kTable = Table(std::make_integer_sequence<int, 12>());

}  // namespace

const Bf16TileFn* Bf16DotTiles() {
  if (!AllowsBf16Dot()) return nullptr;
  if (bf16_dot.load(std::memory_order_relaxed) == Bf16Dot::kAlways) return kTable.data();
  static const bool faster = DotIsFaster();
  return faster ? kTable.data() : nullptr;
}
#endif

}  // namespace moesaic::kernels
