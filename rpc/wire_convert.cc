#include "rpc/wire_convert.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/check.h"

namespace moesaic::rpc {
namespace {

constexpr float kFp8Max = 448.0f;
/// DeepSeek-V3's floor of a block's amax: a zero block then has a finite scale.
constexpr float kMinAmax = 1e-4f;

std::uint16_t LoadBF16(const std::byte* at) {
  std::uint16_t bits;
  std::memcpy(&bits, at, sizeof bits);
  return bits;
}

void StoreBF16(float value, std::byte* at) {
  const std::uint16_t bits = base::F32ToBF16(value);
  std::memcpy(at, &bits, sizeof bits);
}

}  // namespace

std::size_t Fp8ScalesPerRow(int hidden_size) {
  return (static_cast<std::size_t>(hidden_size) + kFp8BlockChannels - 1) / kFp8BlockChannels;
}

void QuantizeFp8Row(absl::Span<const float> row, std::uint8_t* q, float* scales) {
  for (std::size_t begin = 0, block = 0; begin < row.size(); begin += kFp8BlockChannels, ++block) {
    const std::size_t end = std::min<std::size_t>(begin + kFp8BlockChannels, row.size());
    float amax = kMinAmax;
    for (std::size_t i = begin; i < end; ++i) amax = std::max(amax, std::fabs(row[i]));
    const float scale = amax / kFp8Max;
    scales[block] = scale;
    for (std::size_t i = begin; i < end; ++i) q[i] = base::F32ToF8E4M3(row[i] / scale);
  }
}

void DequantizeFp8Row(absl::Span<const std::uint8_t> q, const float* scales, float* row) {
  for (std::size_t i = 0; i < q.size(); ++i) {
    row[i] = base::F8E4M3ToF32(q[i]) * scales[i / kFp8BlockChannels];
  }
}

void EncodeWireRow(const base::TensorView& rows, std::int64_t row, WireDtype dtype, std::byte* out,
                   float* scales) {
  MOESAIC_CHECK(rows.dtype == base::DType::kF32 || rows.dtype == base::DType::kBF16);
  const auto hidden = static_cast<std::size_t>(rows.dim(1));
  const bool from_f32 = rows.dtype == base::DType::kF32;
  const std::size_t row_bytes = hidden * base::DTypeBytes(rows.dtype);
  const std::byte* in = rows.As<const std::byte>() + row * row_bytes;
  if (dtype == (from_f32 ? WireDtype::kF32 : WireDtype::kBF16)) {
    std::memcpy(out, in, row_bytes);
    return;
  }
  if (dtype == WireDtype::kBF16) {
    EncodeResultRow({reinterpret_cast<const float*>(in), hidden}, dtype, out);
    return;
  }
  if (from_f32) {
    QuantizeFp8Row({reinterpret_cast<const float*>(in), hidden},
                   reinterpret_cast<std::uint8_t*>(out), scales);
    return;
  }
  if (dtype == WireDtype::kF32) {
    DecodeWireRow({in, row_bytes}, WireDtype::kBF16, nullptr,
                  {reinterpret_cast<float*>(out), hidden});
    return;
  }
  // bf16 to fp8, a block at a time: the widened row needs no allocation.
  float block[kFp8BlockChannels];
  for (std::size_t begin = 0, b = 0; begin < hidden; begin += kFp8BlockChannels, ++b) {
    const std::size_t n = std::min<std::size_t>(kFp8BlockChannels, hidden - begin);
    DecodeWireRow({in + 2 * begin, 2 * n}, WireDtype::kBF16, nullptr, {block, n});
    QuantizeFp8Row({block, n}, reinterpret_cast<std::uint8_t*>(out) + begin, scales + b);
  }
}

void DecodeWireRow(absl::Span<const std::byte> row, WireDtype dtype, const float* scales,
                   absl::Span<float> out) {
  switch (dtype) {
    case WireDtype::kF32:
      std::memcpy(out.data(), row.data(), out.size() * sizeof(float));
      return;
    case WireDtype::kBF16:
      for (std::size_t i = 0; i < out.size(); ++i) {
        out[i] = base::BF16ToF32(LoadBF16(row.data() + 2 * i));
      }
      return;
    case WireDtype::kFp8E4M3:
      DequantizeFp8Row({reinterpret_cast<const std::uint8_t*>(row.data()), out.size()}, scales,
                       out.data());
      return;
  }
}

void EncodeResultRow(absl::Span<const float> row, WireDtype dtype, std::byte* out) {
  if (dtype == WireDtype::kF32) {
    std::memcpy(out, row.data(), row.size() * sizeof(float));
    return;
  }
  MOESAIC_CHECK(dtype == WireDtype::kBF16);
  for (std::size_t i = 0; i < row.size(); ++i) StoreBF16(row[i], out + 2 * i);
}

}  // namespace moesaic::rpc
