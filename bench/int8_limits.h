#pragma once

#include <cstdint>

namespace moesaic::bench {

/// `rounds` times 12 independent VNNI dot products in registers; answers the operations done, two
/// per multiply-add, or 0 where kernels use none. `values`: 16 numbers that differ.
double RunVnniChains(std::int64_t rounds, std::int32_t* values);

}  // namespace moesaic::bench
