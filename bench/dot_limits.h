#pragma once

#include <cstdint>

namespace moesaic::bench {

/// `rounds` times 12 independent dot products in registers, of four int8 (VNNI) or of two bf16
/// each; answers the operations done, two per multiply-add, or 0 where kernels use none. `values`:
/// 16 numbers that differ.
double RunVnniChains(std::int64_t rounds, float* values);
double RunBf16Chains(std::int64_t rounds, float* values);

}  // namespace moesaic::bench
