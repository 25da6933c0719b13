#include "bench/dot_limits.h"

#include "kernels/bf16_tile.h"
#include "kernels/int8_tile.h"
#include "kernels/simd_targets.h"
// After simd_targets.h.
#include "kernels/x86_intrinsics.h"

namespace moesaic::bench {

#if !HWY_ARCH_X86
double RunVnniChains(std::int64_t, float*) { return 0; }
double RunBf16Chains(std::int64_t, float*) { return 0; }
#else
namespace {

// As in FmaChains of machine_limits.cc.
constexpr int kChains = 12;

HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512vl,avx512vnni")

double VnniChains(std::int64_t rounds, float* values) {
  constexpr int kOperations = 2 * 64;
  const __m512i factor = _mm512_castps_si512(_mm512_set1_ps(values[kChains]));
  __m512i sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = _mm512_castps_si512(_mm512_set1_ps(values[i]));
  for (std::int64_t round = 0; round < rounds; ++round) {
    MOESAIC_UNROLL for (int i = 0; i < kChains; ++i) {
      sum[i] = _mm512_dpbusd_epi32(sum[i], factor, factor);
    }
  }
  for (int i = 0; i < kChains; ++i) values[i] = _mm512_cvtss_f32(_mm512_castsi512_ps(sum[i]));
  return kOperations * kChains * static_cast<double>(rounds);
}

HWY_POP_ATTRIBUTES

HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512vl,avx512bf16")

double Bf16Chains(std::int64_t rounds, float* values) {
  constexpr int kOperations = 2 * 32;
  const auto factor = (__m512bh)_mm512_set1_ps(values[kChains]);
  __m512 sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = _mm512_set1_ps(values[i]);
  for (std::int64_t round = 0; round < rounds; ++round) {
    MOESAIC_UNROLL for (int i = 0; i < kChains; ++i) {
      sum[i] = _mm512_dpbf16_ps(sum[i], factor, factor);
    }
  }
  for (int i = 0; i < kChains; ++i) values[i] = _mm512_cvtss_f32(sum[i]);
  return kOperations * kChains * static_cast<double>(rounds);
}

HWY_POP_ATTRIBUTES

}  // namespace

double RunVnniChains(std::int64_t rounds, float* values) {
  return kernels::VnniInt8Tiles() != nullptr ? VnniChains(rounds, values) : 0;
}

double RunBf16Chains(std::int64_t rounds, float* values) {
  return kernels::Bf16DotTiles() != nullptr ? Bf16Chains(rounds, values) : 0;
}
#endif

}  // namespace moesaic::bench
