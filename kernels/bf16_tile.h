#pragma once

#include <cstdint>

#include "kernels/packed_matrix.h"
#include "kernels/weight_chunk.h"

/// The register tiles of matrix products by bf16 dot products (AVX-512 BF16), an instruction set of
/// its own in linear_bf16_dot.cc. Internal to linear-inl.h.
namespace moesaic::kernels {

/// Inputs of a tile at most, and outputs of an accumulator row: those of linear-inl.h.
inline constexpr std::int64_t kDotInputs = PackedMatrix::kScaleBlock;
inline constexpr std::int64_t kDotPairs = kDotInputs / 2;
inline constexpr std::int64_t kDotOutputs = 8 * PackedMatrix::kPanel;

/// Continues the chains of a tile's rows over `inputs`. pairs: [rows][kDotPairs], the earlier input
/// of a pair in the upper half, which the instruction takes first; zeros up to a multiple of four
/// inputs. acc: [rows][kDotOutputs].
template <class W>
using DotTileFn = void (*)(const WeightChunk<W>& w, std::int64_t panels, const std::uint32_t* pairs,
                           std::int64_t inputs, float* acc);

/// [rows - 1] multiplies a tile of that many rows, 1 to 12.
struct DotTiles {
  const DotTileFn<std::uint16_t>* bf16;
  const DotTileFn<CodedBf16>* coded;
  const DotTileFn<std::uint8_t>* fp8;
};

/// Whether they are used: never, where they were measured to be faster than widening and f32
/// multiply-adds (Zen 4, not Sapphire Rapids), or wherever the CPU has them.
enum class Bf16Dot { kNever, kWhereFaster, kAlways };

/// nullptr where they are not used.
const DotTiles* Bf16DotTiles();
/// Whether this CPU and build have them and they are not kNever.
bool AllowsBf16Dot();
/// What SetMaxSimdTarget calls; kWhereFaster at first.
void UseBf16Dot(Bf16Dot use);

}  // namespace moesaic::kernels
