#pragma once

#include <cstdint>

namespace moesaic::kernels {

// Conversions of activation rows between element types, on the calling thread: what a row is turned
// into before it crosses a wire, and what it is read as behind it. Every output is a function of
// its own inputs (of its block, for fp8), with the same bits on every instruction set. Memory of
// any alignment that the element type needs; inputs and outputs do not overlap.

/// Channels of a row that share a scale in fp8; the last block of a row may be shorter.
inline constexpr std::int64_t kFp8RowBlock = 128;

/// Per block: scale = clamp(max|x|, 1e-4, 2^127) / 448 (f32 division), q = x / scale rounded to the
/// nearest e4m3, ties to even, saturating (DeepSeek-V3's act_quant, inference/kernel.py). The floor
/// keeps a zero block's scale above 0, the ceiling that of a block with an infinity finite; not-a-
/// number stays that and does not count for the maximum.
/// x: [n] f32, or bf16 bits. q: [n]. scales: [ceil(n / 128)].
void QuantizeFp8Row(const float* x, std::int64_t n, std::uint8_t* q, float* scales);
void QuantizeFp8Row(const std::uint16_t* x, std::int64_t n, std::uint8_t* q, float* scales);

/// y = q * scale in f32, then rounded to nearest even where y is bf16.
/// q: [n]. scales: [ceil(n / 128)]. y: [n] f32, or bf16 bits.
void DequantizeFp8Row(const std::uint8_t* q, const float* scales, std::int64_t n, float* y);
void DequantizeFp8Row(const std::uint8_t* q, const float* scales, std::int64_t n, std::uint16_t* y);

/// [n] bf16 bits to f32, exactly, and back, rounding to nearest even.
void WidenRow(const std::uint16_t* x, std::int64_t n, float* y);
void RoundRow(const float* x, std::int64_t n, std::uint16_t* y);

}  // namespace moesaic::kernels
