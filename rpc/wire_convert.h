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

/// Writes row `row` of `rows` ([n, hidden], f32 or bf16, host memory) in the wire's element type:
/// f32 → f32 and bf16 → bf16 copy, bf16 → f32 widens (exact), f32 → bf16 rounds to nearest even,
/// fp8 quantises as kernels::QuantizeFp8Row. out: hidden * WireDtypeBytes(dtype); scales: only for
/// fp8.
void EncodeWireRow(const base::TensorView& rows, std::int64_t row, WireDtype dtype, std::byte* out,
                   float* scales);
/// Reads a wire row into f32, exactly (fp8: q * scale), or into bf16, rounding to nearest even.
/// scales: only for fp8.
void DecodeWireRow(absl::Span<const std::byte> row, WireDtype dtype, const float* scales,
                   absl::Span<float> out);
void DecodeWireRow(absl::Span<const std::byte> row, WireDtype dtype, const float* scales,
                   absl::Span<std::uint16_t> out);
/// Rounds f32 results into the wire's element type, f32 or bf16 (to nearest even).
void EncodeResultRow(absl::Span<const float> row, WireDtype dtype, std::byte* out);

}  // namespace moesaic::rpc
