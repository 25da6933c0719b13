// Tiles by bf16 dot products (AVX-512 BF16), an instruction set that Highway 1.0.3 has no target
// for. A dot product adds the product of the upper halves, then that of the lower ones, each
// rounded to f32 as a fused multiply-add (a product of two bf16 is exact), subnormal numbers
// counting as zeros.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <type_traits>
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
const DotTiles* Bf16DotTiles() { return nullptr; }
#else

bool AllowsBf16Dot() {
  static const bool have =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
      __builtin_cpu_supports("avx512bf16");
  return have && bf16_dot.load(std::memory_order_relaxed) != Bf16Dot::kNever;
}

namespace {

/// Byte tables for one vector each.
struct Fp8Tables {
  /// Of the seven lower bits of an e4m3, the upper and the lower byte of the same number in bf16.
  alignas(64) std::uint8_t upper[128];
  alignas(64) std::uint8_t lower[128];
  /// Where the bytes of four inputs [4][16] go, so that unpacking makes pairs of them.
  alignas(64) std::uint8_t order[64];
};

constexpr Fp8Tables MakeFp8Tables() {
  Fp8Tables tables = {};
  for (int bits = 0; bits < 128; ++bits) {
    int exponent = bits >> 3;
    int mantissa = bits & 7;
    if (exponent == 0) {  // subnormal: the leading one moves out
      exponent = 1;
      while (mantissa != 0 && (mantissa & 8) == 0) {
        mantissa <<= 1;
        --exponent;
      }
      mantissa &= 7;
    }
    const int bf16 = bits == 0 ? 0 : (exponent - 7 + 127) << 7 | mantissa << 4;
    tables.upper[bits] = static_cast<std::uint8_t>(bf16 >> 8);
    tables.lower[bits] = static_cast<std::uint8_t>(bf16);
  }
  for (int i = 0; i < 64; ++i) {
    const int in_block = i % 16;
    const int input = in_block / 8 * 2 + (in_block % 2 == 0 ? 1 : 0);
    tables.order[i] = static_cast<std::uint8_t>(input * 16 + i / 16 * 4 + in_block % 8 / 2);
  }
  return tables;
}

constexpr Fp8Tables kFp8Tables = MakeFp8Tables();

/// Bytes ahead of use at which weights are prefetched: about as many as linear-inl.h.
constexpr std::int64_t kPrefetchBytes = 2048;

// Between these nothing but what the target may run. (WeightChunk is compiled outside of them, for
// all.)
HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512vl,avx512vbmi,avx512bf16")

/// sum += the two products of each lane. Not the intrinsic, as in linear_int8_vnni.cc.
inline __attribute__((always_inline)) void AddPair(__m512& sum, __m512i weights, __m512i values) {
  asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(weights), "v"(values));
}

inline __attribute__((always_inline)) void Prefetch(const void* p) {
  __builtin_prefetch(static_cast<const char*>(p) + kPrefetchBytes, 0, 2);
}

/// Pairs that the weights of one vector load make.
template <class W>
constexpr int kPairs = std::is_same_v<W, std::uint16_t> ? 1 : 2;
/// Inputs of one load.
template <class W>
constexpr std::int64_t kLoadInputs = 2 * kPairs<W>;

/// Makes pairs of the weights of a tile's panels, load by load. Missing inputs are -0: with the
/// value's +0 they add -0, which changes no sum.
template <class W, int kPanels>
struct PairLoader;

template <int kPanels>
struct PairLoader<std::uint16_t, kPanels> {
  /// Output j of two inputs side by side: the earlier one (element j of 32) above the later one.
  __m512i beside;

  inline __attribute__((always_inline)) explicit PairLoader(const WeightChunk<std::uint16_t>&) {
    const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    beside =
        _mm512_or_si512(_mm512_slli_epi32(lane, 16), _mm512_add_epi32(lane, _mm512_set1_epi32(16)));
  }
  inline __attribute__((always_inline)) void Load(const WeightChunk<std::uint16_t>& w, int panel,
                                                  std::int64_t input, __m512i* pairs) const {
    const std::uint16_t* const p = w.data + panel * w.panel_stride + input * PackedMatrix::kPanel;
    Prefetch(p);
    pairs[0] = _mm512_permutexvar_epi16(beside, _mm512_loadu_si512(p));
  }
  inline __attribute__((always_inline)) void LoadLast(const WeightChunk<std::uint16_t>& w,
                                                      int panel, std::int64_t input, std::int64_t,
                                                      __m512i* pairs) const {
    const std::uint16_t* const p = w.data + panel * w.panel_stride + input * PackedMatrix::kPanel;
    const __m512i one = _mm512_mask_loadu_epi16(_mm512_set1_epi16(-0x8000), 0xFFFFu, p);
    pairs[0] = _mm512_permutexvar_epi16(beside, one);
  }
};

template <int kPanels>
struct PairLoader<std::uint8_t, kPanels> {
  __m512i order, upper[2], lower[2];

  inline __attribute__((always_inline)) explicit PairLoader(const WeightChunk<std::uint8_t>&) {
    order = _mm512_load_si512(kFp8Tables.order);
    for (int half = 0; half < 2; ++half) {
      upper[half] = _mm512_load_si512(kFp8Tables.upper + 64 * half);
      lower[half] = _mm512_load_si512(kFp8Tables.lower + 64 * half);
    }
  }
  inline __attribute__((always_inline)) void Make(__m512i bytes, __m512i* pairs) const {
    const __m512i ordered = _mm512_permutexvar_epi8(order, bytes);
    const __m512i low = _mm512_permutex2var_epi8(lower[0], ordered, lower[1]);
    const __m512i high = _mm512_permutex2var_epi8(upper[0], ordered, upper[1]);
    // high | (ordered & 0x80)
    const __m512i with_sign =
        _mm512_ternarylogic_epi32(high, ordered, _mm512_set1_epi8(-0x80), 0xF8);
    pairs[0] = _mm512_unpacklo_epi8(low, with_sign);
    pairs[1] = _mm512_unpackhi_epi8(low, with_sign);
  }
  inline __attribute__((always_inline)) void Load(const WeightChunk<std::uint8_t>& w, int panel,
                                                  std::int64_t input, __m512i* pairs) const {
    const std::uint8_t* const p = w.data + panel * w.panel_stride + input * PackedMatrix::kPanel;
    Prefetch(p);
    Make(_mm512_loadu_si512(p), pairs);
  }
  inline __attribute__((always_inline)) void LoadLast(const WeightChunk<std::uint8_t>& w, int panel,
                                                      std::int64_t input, std::int64_t inputs,
                                                      __m512i* pairs) const {
    const std::uint8_t* const p = w.data + panel * w.panel_stride + input * PackedMatrix::kPanel;
    const auto bytes = (std::uint64_t{1} << (inputs * PackedMatrix::kPanel)) - 1;
    Make(_mm512_mask_loadu_epi8(_mm512_set1_epi8(-0x80), bytes, p), pairs);
  }
};

template <int kPanels>
struct PairLoader<CodedBf16, kPanels> {
  __m512i upper_of;
  bf16_code::ExceptionCursor exceptions[kPanels];

  inline __attribute__((always_inline)) explicit PairLoader(const WeightChunk<CodedBf16>& w) {
    // Four times over, since a lookup takes two bits of what follows a number too.
    upper_of = _mm512_broadcast_i32x4(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(w.side.upper_bytes)));
    MOESAIC_UNROLL for (int p = 0; p < kPanels; ++p) exceptions[p] = w.Exceptions(p);
  }
  inline __attribute__((always_inline)) void Load(const WeightChunk<CodedBf16>& w, int panel,
                                                  std::int64_t input, __m512i* pairs) {
    const bool second_half = input % bf16_code::kRecordInputs != 0;
    const std::uint8_t* const record = w.records + panel * w.panel_stride +
                                       input / bf16_code::kRecordInputs * bf16_code::kRecordBytes;
    // Three lines a record.
    Prefetch(record + (second_half ? 128 : 0));
    if (!second_half) Prefetch(record + 64);
    const __m512i lower = _mm512_loadu_si512(record + (second_half ? bf16_code::kHalfBytes : 0));
    __m512i numbers = _mm512_loadu_si512(record + bf16_code::kNumbersAt);
    if (second_half) numbers = _mm512_srli_epi16(numbers, 4);
    const __m512i upper = _mm512_permutexvar_epi8(numbers, upper_of);
    pairs[0] = _mm512_unpacklo_epi8(lower, upper);
    pairs[1] = _mm512_unpackhi_epi8(lower, upper);
    if (exceptions[panel].half() == input) [[unlikely]]
      Flip(exceptions[panel], pairs);
  }
  /// A load of some hundreds comes here. Inline and without memory: a call would save all
  /// registers.
  static inline __attribute__((always_inline)) void Flip(bf16_code::ExceptionCursor& cursor,
                                                         __m512i* pairs) {
    for (const std::int64_t here = cursor.half(); cursor.half() == here; cursor.Advance()) {
      const std::int64_t input = cursor.input_in_half();
      const __m512i bits =
          _mm512_set1_epi32(static_cast<int>(cursor.bits() << (input % 2 == 0 ? 24 : 8)));
      const auto lane = static_cast<std::uint32_t>(1) << cursor.output();
      const auto first = static_cast<__mmask16>(input < 2 ? lane : 0);
      const auto second = static_cast<__mmask16>(input < 2 ? 0 : lane);
      pairs[0] = _mm512_mask_xor_epi32(pairs[0], first, pairs[0], bits);
      pairs[1] = _mm512_mask_xor_epi32(pairs[1], second, pairs[1], bits);
    }
  }
};

/// Products of the kLoadInputs inputs from input `input` on; fewer when they are the last.
template <bool kLast, class W, int kRows, int kPanels>
inline __attribute__((always_inline)) void AddLoad(PairLoader<W, kPanels>& loader,
                                                   const WeightChunk<W>& w, std::int64_t input,
                                                   std::int64_t inputs, const std::uint32_t* values,
                                                   __m512 (&sum)[kRows][kPanels]) {
  __m512i wide[kPanels][kPairs<W>];
  MOESAIC_UNROLL for (int p = 0; p < kPanels; ++p) {
    if constexpr (kLast) {
      loader.LoadLast(w, p, input, inputs - input, wide[p]);
    } else {
      loader.Load(w, p, input, wide[p]);
    }
  }
  MOESAIC_UNROLL for (int pair = 0; pair < kPairs<W>; ++pair) {
    MOESAIC_UNROLL for (int r = 0; r < kRows; ++r) {
      const std::uint32_t two = values[r * kDotPairs + input / 2 + pair];
      const __m512i value = _mm512_set1_epi32(static_cast<int>(two));
      MOESAIC_UNROLL for (int p = 0; p < kPanels; ++p) AddPair(sum[r][p], wide[p][pair], value);
    }
  }
}

template <class W, int kRows, int kPanels>
inline __attribute__((always_inline)) void MultiplyTile(const WeightChunk<W>& w,
                                                        const std::uint32_t* values,
                                                        std::int64_t inputs, float* acc) {
  constexpr std::int64_t kPanel = PackedMatrix::kPanel;
  __m512 sum[kRows][kPanels];
  MOESAIC_UNROLL for (int r = 0; r < kRows; ++r) {
    MOESAIC_UNROLL for (int p = 0; p < kPanels; ++p) {
      sum[r][p] = w.scales != nullptr ? _mm512_setzero_ps()
                                      : _mm512_loadu_ps(acc + r * kDotOutputs + p * kPanel);
    }
  }
  PairLoader<W, kPanels> loader(w);
  std::int64_t input = 0;
  for (; input + kLoadInputs<W> <= inputs; input += kLoadInputs<W>) {
    AddLoad<false>(loader, w, input, inputs, values, sum);
  }
  if constexpr (!std::is_same_v<W, CodedBf16>) {  // whose records are whole
    if (input < inputs) AddLoad<true>(loader, w, input, inputs, values, sum);
  }
  MOESAIC_UNROLL for (int p = 0; p < kPanels; ++p) {
    MOESAIC_UNROLL for (int r = 0; r < kRows; ++r) {
      float* const out = acc + r * kDotOutputs + p * kPanel;
      if (w.scales != nullptr) {
        const __m512 scale = _mm512_loadu_ps(w.scales + p * w.scale_stride);
        sum[r][p] = _mm512_fmadd_ps(sum[r][p], scale, _mm512_loadu_ps(out));
      }
      _mm512_storeu_ps(out, sum[r][p]);
    }
  }
}

/// Panels of a register tile: two pairs a load, and tables in registers, leave room for less.
template <class W>
constexpr int TilePanels(int rows) {
  if (std::is_same_v<W, CodedBf16>) return rows <= 5 ? 4 : 2;
  if (sizeof(W) == 1) return rows <= 4 ? 4 : rows <= 8 ? 2 : 1;
  return rows <= 6 ? 4 : 2;
}

template <class W, int kRows>
void MultiplyRows(const WeightChunk<W>& w, std::int64_t panels, const std::uint32_t* pairs,
                  std::int64_t inputs, float* acc) {
  constexpr int kPanels = TilePanels<W>(kRows);
  std::int64_t p = 0;
  for (; p + kPanels <= panels; p += kPanels) {
    MultiplyTile<W, kRows, kPanels>(w.From(p), pairs, inputs, acc + p * PackedMatrix::kPanel);
  }
  for (; p < panels; ++p) {
    MultiplyTile<W, kRows, 1>(w.From(p), pairs, inputs, acc + p * PackedMatrix::kPanel);
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

template <class W, int... kIndex>
constexpr std::array<DotTileFn<W>, sizeof...(kIndex)> Table(std::integer_sequence<int, kIndex...>) {
  return {&MultiplyRows<W, kIndex + 1>...};
}

template <class W>
constexpr auto kTiles = Table<W>(std::make_integer_sequence<int, 12>());

constexpr DotTiles kDotTiles = {.bf16 = kTiles<std::uint16_t>.data(),
                                .coded = kTiles<CodedBf16>.data(),
                                .fp8 = kTiles<std::uint8_t>.data()};

}  // namespace

const DotTiles* Bf16DotTiles() {
  if (!AllowsBf16Dot()) return nullptr;
  if (bf16_dot.load(std::memory_order_relaxed) == Bf16Dot::kAlways) return &kDotTiles;
  static const bool faster = DotIsFaster();
  return faster ? &kDotTiles : nullptr;
}
#endif

}  // namespace moesaic::kernels
