#pragma once

#include <array>
#include <cstdint>

namespace moesaic::kernels {

/// Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011): 128
/// random bits as a pure function of a 128-bit counter and a 64-bit key.
std::array<std::uint32_t, 4> Philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key);

/// What the randomness of one sampled token depends on, and nothing else does. Immutable value.
struct SampleKey {
  std::uint64_t seed = 0;
  /// Index among the `n` choices of a request.
  std::uint32_t choice = 0;
  /// Absolute position of the token to be drawn.
  std::uint64_t position = 0;
};

/// Uniform in [0, 1), a multiple of 2^-53, from the first 64 bits of
/// Philox4x32({position low, position high, choice, 0}, {seed low, seed high}).
double UniformDraw(const SampleKey& key);

}  // namespace moesaic::kernels
