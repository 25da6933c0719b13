#pragma once

#include <cstdint>

#include "kernels/bf16_code.h"

namespace moesaic::kernels {

/// bf16 weights as bf16_code.h keeps them.
struct CodedBf16 {};

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

template <>
struct WeightChunk<CodedBf16> {
  const std::uint8_t* records;  ///< Panel p's at records + p * panel_stride.
  std::int64_t panel_stride;
  bf16_code::Side side;      ///< Its exceptions are those of the first panel.
  std::int64_t inputs;       ///< Of the whole matrix.
  std::int64_t first_input;  ///< The chunk's first among them, which begins a record.
  static constexpr const float* scales = nullptr;
  static constexpr std::int64_t scale_stride = 0;

  bf16_code::ExceptionCursor Exceptions(std::int64_t p) const {
    return {side.exceptions + p * bf16_code::ExceptionsOf(inputs), inputs, first_input};
  }
  WeightChunk From(std::int64_t p) const {
    WeightChunk from = *this;
    from.records += p * panel_stride;
    from.side.exceptions += p * bf16_code::ExceptionsOf(inputs);
    return from;
  }
};

}  // namespace moesaic::kernels
