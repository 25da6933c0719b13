#include "rpc/wire_convert.h"

#include <cstring>

#include "base/check.h"
#include "kernels/row_convert.h"

namespace moesaic::rpc {
namespace {

static_assert(kFp8BlockChannels == kernels::kFp8RowBlock);

template <typename T>
const T* As(absl::Span<const std::byte> row) {
  return reinterpret_cast<const T*>(row.data());
}

}  // namespace

std::size_t Fp8ScalesPerRow(int hidden_size) {
  return (static_cast<std::size_t>(hidden_size) + kFp8BlockChannels - 1) / kFp8BlockChannels;
}

void EncodeWireRow(const base::TensorView& rows, std::int64_t row, WireDtype dtype, std::byte* out,
                   float* scales) {
  MOESAIC_CHECK(rows.dtype == base::DType::kF32 || rows.dtype == base::DType::kBF16);
  const std::int64_t hidden = rows.dim(1);
  const bool from_f32 = rows.dtype == base::DType::kF32;
  const std::size_t row_bytes = hidden * base::DTypeBytes(rows.dtype);
  const std::byte* in = rows.As<const std::byte>() + row * row_bytes;
  const auto* f32 = reinterpret_cast<const float*>(in);
  const auto* bf16 = reinterpret_cast<const std::uint16_t*>(in);
  auto* fp8 = reinterpret_cast<std::uint8_t*>(out);
  switch (dtype) {
    case WireDtype::kF32:
      if (!from_f32) return kernels::WidenRow(bf16, hidden, reinterpret_cast<float*>(out));
      break;
    case WireDtype::kBF16:
      if (from_f32) return kernels::RoundRow(f32, hidden, reinterpret_cast<std::uint16_t*>(out));
      break;
    case WireDtype::kFp8E4M3:
      if (from_f32) return kernels::QuantizeFp8Row(f32, hidden, fp8, scales);
      return kernels::QuantizeFp8Row(bf16, hidden, fp8, scales);
  }
  std::memcpy(out, in, row_bytes);
}

void DecodeWireRow(absl::Span<const std::byte> row, WireDtype dtype, const float* scales,
                   absl::Span<float> out) {
  const auto n = static_cast<std::int64_t>(out.size());
  switch (dtype) {
    case WireDtype::kF32:
      std::memcpy(out.data(), row.data(), out.size() * sizeof(float));
      return;
    case WireDtype::kBF16:
      return kernels::WidenRow(As<std::uint16_t>(row), n, out.data());
    case WireDtype::kFp8E4M3:
      return kernels::DequantizeFp8Row(As<std::uint8_t>(row), scales, n, out.data());
  }
}

void DecodeWireRow(absl::Span<const std::byte> row, WireDtype dtype, const float* scales,
                   absl::Span<std::uint16_t> out) {
  const auto n = static_cast<std::int64_t>(out.size());
  switch (dtype) {
    case WireDtype::kF32:
      return kernels::RoundRow(As<float>(row), n, out.data());
    case WireDtype::kBF16:
      std::memcpy(out.data(), row.data(), out.size() * sizeof(std::uint16_t));
      return;
    case WireDtype::kFp8E4M3:
      return kernels::DequantizeFp8Row(As<std::uint8_t>(row), scales, n, out.data());
  }
}

void EncodeResultRow(absl::Span<const float> row, WireDtype dtype, std::byte* out) {
  if (dtype == WireDtype::kF32) {
    std::memcpy(out, row.data(), row.size() * sizeof(float));
    return;
  }
  MOESAIC_CHECK(dtype == WireDtype::kBF16);
  kernels::RoundRow(row.data(), static_cast<std::int64_t>(row.size()),
                    reinterpret_cast<std::uint16_t*>(out));
}

}  // namespace moesaic::rpc
