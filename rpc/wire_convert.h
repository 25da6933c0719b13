#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "base/dtype.h"
#include "base/tensor.h"
#include "rpc/dispatch_message.h"

namespace moesaic::rpc {

/// Scales of one fp8 row: ceil(hidden_size / 128).
std::size_t Fp8ScalesPerRow(int hidden_size);

/// Quantises one row: per block of 128 channels s = max(max|x|, 1e-4) / 448 (f32 division), q =
/// x / s rounded to nearest even, saturating (DeepSeek-V3's act_quant, inference/kernel.py; the
/// floor keeps a zero block finite). row: [hidden]; q: [hidden]; scales: [ceil(hidden / 128)].
void QuantizeFp8Row(absl::Span<const float> row, std::uint8_t* q, float* scales);
/// x = q * s in f32, which is how the receiver reads an fp8 row.
void DequantizeFp8Row(absl::Span<const std::uint8_t> q, const float* scales, float* row);

/// Writes row `row` of `rows` ([n, hidden], f32 or bf16, host memory) in the wire's element type:
/// f32 → f32 and bf16 → bf16 copy, bf16 → f32 widens (exact), f32 → bf16 rounds to nearest even,
/// fp8 quantises the f32 value. out: hidden * WireDtypeBytes(dtype); scales: only for fp8.
void EncodeWireRow(const base::TensorView& rows, std::int64_t row, WireDtype dtype, std::byte* out,
                   float* scales);
/// Reads a wire row into f32; exact for f32 and bf16. scales: only for fp8.
void DecodeWireRow(absl::Span<const std::byte> row, WireDtype dtype, const float* scales,
                   absl::Span<float> out);
/// Rounds f32 results into the wire's element type, f32 or bf16 (to nearest even).
void EncodeResultRow(absl::Span<const float> row, WireDtype dtype, std::byte* out);

}  // namespace moesaic::rpc
