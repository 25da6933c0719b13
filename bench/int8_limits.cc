#include "bench/int8_limits.h"

#include "kernels/int8_tile.h"
#include "kernels/simd_targets.h"
// After simd_targets.h.
#include "kernels/x86_intrinsics.h"

namespace moesaic::bench {

#if !HWY_ARCH_X86
double RunVnniChains(std::int64_t, std::int32_t*) { return 0; }
#else
namespace {

HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512vl,avx512vnni")

/// As FmaChains in machine_limits.cc.
double VnniChains(std::int64_t rounds, std::int32_t* values) {
  constexpr int kChains = 12;
  constexpr int kOperations = 2 * 64;
  const __m512i factor = _mm512_set1_epi32(values[kChains]);
  __m512i sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = _mm512_set1_epi32(values[i]);
  for (std::int64_t round = 0; round < rounds; ++round) {
    MOESAIC_UNROLL for (int i = 0; i < kChains; ++i) {
      sum[i] = _mm512_dpbusd_epi32(sum[i], factor, factor);
    }
  }
  for (int i = 0; i < kChains; ++i) values[i] = _mm512_reduce_add_epi32(sum[i]);
  return kOperations * kChains * static_cast<double>(rounds);
}

HWY_POP_ATTRIBUTES

}  // namespace

double RunVnniChains(std::int64_t rounds, std::int32_t* values) {
  return kernels::VnniInt8Tiles() != nullptr ? VnniChains(rounds, values) : 0;
}
#endif

}  // namespace moesaic::bench
