#pragma once

/// Which Highway targets kernels are compiled for. Include before any Highway header (a kernel file
/// that includes it last, or never, would compile targets whose bits differ).
///
/// Every target here has fused multiply-add: AVX2, AVX-512 ("AVX3") and NEON. SSSE3 and SSE4 have
/// none; SVE vectors cannot be members of a struct, which kernels need, and NEON serves the same
/// machines. Highway's mandatory fallback (scalar) takes its fused multiply-add from std::fma.
#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_SSE4 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)

/// Before a loop over registers: it must unroll, also at -O2, or the accumulators live in memory.
#ifdef __clang__
#define MOESAIC_UNROLL _Pragma("unroll")
#else
#define MOESAIC_UNROLL _Pragma("GCC unroll 32")
#endif
