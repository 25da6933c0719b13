#pragma once

#include <cstdint>

#include "kernels/packed_matrix.h"

/// The register tile of the bf16 matrix product with AVX-512 BF16, an instruction set of its own in
/// linear_bf16_dot.cc. Internal to linear-inl.h.
namespace moesaic::kernels {

/// Inputs of a tile at most, and outputs of an accumulator row: those of linear-inl.h.
inline constexpr std::int64_t kBf16TileInputs = PackedMatrix::kScaleBlock;
inline constexpr std::int64_t kBf16TilePairs = kBf16TileInputs / 2;
inline constexpr std::int64_t kBf16Outputs = 8 * PackedMatrix::kPanel;

/// Some inputs of some panels: panel p's at data + p * panel_stride, [inputs][16].
struct Bf16Chunk {
  const std::uint16_t* data;
  std::int64_t panel_stride;
};

/// Continues the chains of a tile's rows over `inputs` <= kBf16TileInputs. pairs:
/// [rows][kBf16TilePairs], the earlier input of a pair in the upper half, which the instruction
/// takes first; the last of an odd number is paired with 0. acc: [rows][kBf16Outputs].
using Bf16TileFn = void (*)(const Bf16Chunk& w, std::int64_t panels, const std::uint32_t* pairs,
                            std::int64_t inputs, float* acc);

/// Whether the bf16 dot product is used: never, where it was measured to be faster than widening
/// and f32 multiply-adds (Zen 4, not Sapphire Rapids), or wherever the CPU has it.
enum class Bf16Dot { kNever, kWhereFaster, kAlways };

/// [rows - 1] multiplies a tile of that many rows, 1 to 12; nullptr where it is not used.
const Bf16TileFn* Bf16DotTiles();
/// Whether this CPU and build have it and it is not kNever.
bool AllowsBf16Dot();
/// What SetMaxSimdTarget calls; kWhereFaster at first.
void UseBf16Dot(Bf16Dot use);

}  // namespace moesaic::kernels
