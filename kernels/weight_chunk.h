#pragma once

#include <cstdint>

namespace moesaic::kernels {

/// Inputs of some panels of a PackedMatrix, those that may share a scale: panel p's weights at
/// data + p * panel_stride, [inputs][16]. W: float, std::uint16_t (bf16) or std::uint8_t (fp8,
/// int8).
template <class W>
struct WeightChunk {
  const W* data;
  std::int64_t panel_stride;
  const float* scales;  ///< Panel p's [16] at scales + p * scale_stride; nullptr without scales.
  std::int64_t scale_stride;

  /// The same inputs from panel p on.
  WeightChunk From(std::int64_t p) const {
    const float* const their_scales = scales == nullptr ? nullptr : scales + p * scale_stride;
    return {data + p * panel_stride, panel_stride, their_scales, scale_stride};
  }
};

}  // namespace moesaic::kernels
