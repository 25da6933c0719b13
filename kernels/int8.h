#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/packed_matrix.h"

/// How numbers become signed bytes (docs/decisions/0007-int8-weights.md), weights once and
/// activations in every call: a group of up to kInt8Group consecutive inputs shares a scale.
namespace moesaic::kernels {

/// Inputs of a group: those that share an fp8 scale, so that chunks of all storages are the same.
/// A group's products are summed exactly: 128 * 127 * 127 is below 2^24.
inline constexpr std::int64_t kInt8Group = PackedMatrix::kScaleBlock;

namespace int8 {
/// Largest quantised magnitude.
inline constexpr float kMax = 127.0f;
/// A group whose largest magnitude is below becomes zeros with scale 0: its scale would be
/// subnormal, and the reciprocal infinite.
inline constexpr float kSmallest = 0x1p-119f;
/// v + kRoundMagic has round-half-to-even(v) in its low byte, |v| <= 2^21.
inline constexpr float kRoundMagic = 12582912.0f;
/// Weights are stored plus this, as unsigned bytes, and sums of products corrected by it.
inline constexpr std::int32_t kWeightOffset = 128;
}  // namespace int8

/// q[i] = round half to even of (x[i] * (127 / m)), m the largest |x|; answers the scale m / 127,
/// each operation rounded to f32. m below int8::kSmallest: zeros and 0. An x that is not finite:
/// zeros and NaN. Requires: count <= kInt8Group.
float QuantizeInt8(const float* x, std::int64_t count, std::int8_t* q);

/// Quantised rows in a workspace. Borrowed.
struct Int8Rows {
  /// Cuts [rows, k] out of memory of Bytes(rows, k), aligned to 64.
  Int8Rows(void* memory, std::int64_t rows, std::int64_t k);
  static std::size_t Bytes(std::int64_t rows, std::int64_t k);
  /// Groups of a row.
  static std::int64_t Groups(std::int64_t k) { return (k + kInt8Group - 1) / kInt8Group; }

  std::int64_t groups;
  std::int8_t* values;    ///< [rows][groups][kInt8Group], zero from k on.
  float* scales;          ///< [rows][groups]
  std::int32_t* offsets;  ///< [rows][groups]: -int8::kWeightOffset * sum of the group's values.
};

}  // namespace moesaic::kernels
