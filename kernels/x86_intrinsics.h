#pragma once

/// The x86 intrinsics, where the target is x86, for instruction sets that Highway 1.0.3 lacks.
/// Include after kernels/simd_targets.h.
#include "hwy/base.h"

#if HWY_ARCH_X86
// Its undefined vectors are meant to be.
HWY_DIAGNOSTICS(push)
HWY_DIAGNOSTICS_OFF(disable : 4701, ignored "-Wuninitialized")
#if !HWY_COMPILER_CLANG  // which does not know the name
HWY_DIAGNOSTICS_OFF(disable : 4703, ignored "-Wmaybe-uninitialized")
#endif
#include <immintrin.h>
HWY_DIAGNOSTICS(pop)
#endif
