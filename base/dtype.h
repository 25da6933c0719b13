#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"

namespace moesaic::base {

/// Element types of tensors, in memory and on the wire.
enum class DType : std::uint8_t {
  kF32 = 1,
  kBF16 = 2,
  kF16 = 3,
  kF8E4M3 = 4,  ///< e4m3fn: bias 7, no infinity, 0x7F and 0xFF are NaN, largest 448.
  kI32 = 5,
  kI64 = 6,
  kU8 = 7,
  kI8 = 8,  ///< Weights in kernels: a signed byte times its group's scale.
};

/// Bytes of one element.
std::size_t DTypeBytes(DType dtype);
/// "f32", "bf16", "f16", "fp8", "i32", "i64", "u8", "i8".
std::string_view DTypeName(DType dtype);
/// Inverse of DTypeName for the floating types. Errors: InvalidArgument naming the text.
absl::StatusOr<DType> ParseDType(std::string_view name);

inline float BF16ToF32(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// Round to nearest, ties to even; a NaN stays a (quiet) NaN.
inline std::uint16_t F32ToBF16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

/// Rounds through bf16 and back.
inline float RoundToBF16(float value) { return BF16ToF32(F32ToBF16(value)); }

float F16ToF32(std::uint16_t bits);
float F8E4M3ToF32(std::uint8_t bits);
/// Round to nearest, ties to even, saturating at ±448; NaN → 0x7F with the sign kept.
std::uint8_t F32ToF8E4M3(float value);

}  // namespace moesaic::base
