#pragma once

#include <cstdint>

#include "kernels/int8.h"
#include "kernels/weight_chunk.h"

/// The register tile of the int8 matrix product, shared by linear_int8-inl.h and the instruction
/// set of its own in linear_int8_vnni.cc. Internal to linear_cpu.cc and expert_ffn_cpu.cc.
namespace moesaic::kernels {

/// Inputs that a vector lane multiplies at a time.
inline constexpr std::int64_t kInt8Quad = 4;
inline constexpr std::int64_t kInt8GroupQuads = kInt8Group / kInt8Quad;
/// Outputs of an accumulator row: those of a panel group.
inline constexpr std::int64_t kInt8Outputs = 8 * PackedMatrix::kPanel;

/// Groups ahead of use at which a panel's scales are prefetched: a line each, 8 KB of weights apart
/// in time, so that nothing else brings them before a tile waits for them (a tenth of the time of
/// one row on one core).
inline constexpr std::int64_t kInt8ScalesAhead = 4;

/// A group of inputs of some panels, in quads: [quads][16][4].
using Int8Chunk = WeightChunk<std::uint8_t>;

/// The same group of up to 12 rows.
struct Int8Tile {
  alignas(64) std::int8_t values[12 * kInt8Group];  ///< [rows][kInt8Group]
  float scales[12];
  std::int32_t offsets[12];
};

/// Continues the chains of a tile's rows over one group: acc [rows][kInt8Outputs].
using Int8TileFn = void (*)(const Int8Chunk& w, std::int64_t panels, const Int8Tile& x,
                            std::int64_t quads, float* acc);

/// [rows - 1] multiplies a tile of that many rows, 1 to 12, with AVX-512 VNNI; nullptr where the
/// build or the CPU has none, or SetMaxSimdTarget excludes it.
const Int8TileFn* VnniInt8Tiles();
/// Whether this CPU and build have it.
bool HaveVnni();
/// What SetMaxSimdTarget calls.
void AllowVnni(bool allowed);

}  // namespace moesaic::kernels
