// Per-target pieces of attention_mla_cpu.cc that both forms share. Include inside the part of a
// file that Highway compiles once per target.
#include <algorithm>
#include <cstdint>

#include "kernels/attention_block-inl.h"
#include "kernels/attention_mla.h"

#if defined(MOESAIC_KERNELS_ATTENTION_MLA_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MOESAIC_KERNELS_ATTENTION_MLA_INL_H_
#undef MOESAIC_KERNELS_ATTENTION_MLA_INL_H_
#else
#define MOESAIC_KERNELS_ATTENTION_MLA_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace moesaic::kernels {
namespace HWY_NAMESPACE {

HWY_INLINE std::int64_t LatentStride(const MlaShape& shape) { return PadToVector(shape.kv_lora); }

/// Rows of this sequence that use the naive form; they come first.
HWY_INLINE std::int64_t NaiveRows(const AttentionMlaArgs& args, std::int64_t s) {
  const PagedSequence sequence = SequenceAt(args.batch, s);
  const std::int64_t prompt = args.prompt_lengths.As<std::int32_t>()[s];
  return std::clamp<std::int64_t>(prompt - sequence.first_position, 0, sequence.rows());
}

/// dst[i][k] = rows [first, first + n) of kv_b, fp8 times its scale. dst: [n, LatentStride].
inline void WidenFp8Weights(const AttentionMlaArgs& args, std::int64_t first, std::int64_t n,
                            float* dst) {
  float values[256];
  for (int i = 0; i < 256; ++i) values[i] = base::F8E4M3ToF32(static_cast<std::uint8_t>(i));
  const std::int64_t k_dim = args.shape.kv_lora;
  const std::int64_t blocks = args.kv_b_scales.dim(1);
  for (std::int64_t i = 0; i < n; ++i) {
    const std::uint8_t* row = args.kv_b.As<std::uint8_t>() + (first + i) * k_dim;
    const float* scales = args.kv_b_scales.As<float>() + (first + i) / kMlaScaleBlock * blocks;
    float* out = dst + i * LatentStride(args.shape);
    for (std::int64_t k = 0; k < k_dim; ++k) out[k] = values[row[k]] * scales[k / kMlaScaleBlock];
  }
}

/// Rows ahead of use at which kv_b is prefetched, which comes from memory in every layer.
inline constexpr std::int64_t kPrefetchWeightRows = 8;

/// The same for every type of kv_b.
inline void WidenWeights(const AttentionMlaArgs& args, std::int64_t first, std::int64_t n,
                         float* dst) {
  if (args.kv_b.dtype == base::DType::kF8E4M3) return WidenFp8Weights(args, first, n, dst);
  const std::int64_t k_dim = args.shape.kv_lora;
  const std::int64_t row_bytes = k_dim * base::DTypeBytes(args.kv_b.dtype);
  for (std::int64_t i = 0; i < n; ++i) {
    const char* ahead = args.kv_b.As<const char>() + (first + i + kPrefetchWeightRows) * row_bytes;
    for (std::int64_t byte = 0; byte < row_bytes; byte += 64)
      __builtin_prefetch(ahead + byte, 0, 2);
    WidenFrom(args.kv_b, (first + i) * k_dim, k_dim, dst + i * LatentStride(args.shape));
  }
}

/// First row of a head's W_UK in kv_b.
HWY_INLINE std::int64_t KeyWeightRow(const MlaShape& shape, std::int64_t head) {
  return head * (shape.nope + shape.v_dim);
}
/// First row of a head's W_UV in kv_b.
HWY_INLINE std::int64_t ValueWeightRow(const MlaShape& shape, std::int64_t head) {
  return KeyWeightRow(shape, head) + shape.nope;
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace moesaic::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
