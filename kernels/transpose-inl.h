// Transposition of rows in memory, per target: include inside the part of a file that Highway
// compiles once per target.
#include <algorithm>
#include <array>
#include <cstdint>

#include "kernels/simd_math-inl.h"

#if defined(MOESAIC_KERNELS_TRANSPOSE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MOESAIC_KERNELS_TRANSPOSE_INL_H_
#undef MOESAIC_KERNELS_TRANSPOSE_INL_H_
#else
#define MOESAIC_KERNELS_TRANSPOSE_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace moesaic::kernels {
namespace HWY_NAMESPACE {

/// Rows that are transposed together: one a lane.
inline constexpr std::int64_t kTransposeRows = static_cast<std::int64_t>(kVectorLanes);

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
/// Columns of 32 bits that are transposed together: those of a 128-bit block.
inline constexpr std::int64_t kTransposeWords = 4;
using VU = hn::Vec<DU>;
using Words = std::array<VU, kTransposeWords>;

/// Four words of rows 0, 4, 8 … of 4 N rows, a block a row.
template <int N>
HWY_INLINE hn::Vec<hn::FixedTag<std::uint32_t, 4 * N>> LoadBlocks(const std::uint32_t* const* rows,
                                                                  std::int64_t word) {
  const hn::FixedTag<std::uint32_t, 4 * N> d;
  if constexpr (N == 1) {
    return hn::LoadU(d, rows[0] + word);
  } else {
    return hn::Combine(d, LoadBlocks<N / 2>(rows + 4 * (N / 2), word),
                       LoadBlocks<N / 2>(rows, word));
  }
}

/// [i]: word `word` + i of the kTransposeRows rows.
HWY_INLINE Words TransposeWords(const std::uint32_t* const* rows, std::int64_t word) {
  constexpr int kBlocks = static_cast<int>(kVectorLanes / 4);
  const hn::Repartition<std::uint64_t, DU> du64;
  // Block b of a: row 4 b, of b: row 4 b + 1, …
  const VU a = LoadBlocks<kBlocks>(rows, word);
  const VU b = LoadBlocks<kBlocks>(rows + 1, word);
  const VU c = LoadBlocks<kBlocks>(rows + 2, word);
  const VU e = LoadBlocks<kBlocks>(rows + 3, word);
  const auto ab_low = hn::BitCast(du64, hn::InterleaveLower(DU(), a, b));
  const auto ab_high = hn::BitCast(du64, hn::InterleaveUpper(DU(), a, b));
  const auto ce_low = hn::BitCast(du64, hn::InterleaveLower(DU(), c, e));
  const auto ce_high = hn::BitCast(du64, hn::InterleaveUpper(DU(), c, e));
  return {hn::BitCast(DU(), hn::InterleaveLower(du64, ab_low, ce_low)),
          hn::BitCast(DU(), hn::InterleaveUpper(du64, ab_low, ce_low)),
          hn::BitCast(DU(), hn::InterleaveLower(du64, ab_high, ce_high)),
          hn::BitCast(DU(), hn::InterleaveUpper(du64, ab_high, ce_high))};
}

/// dst[d * stride + lane] = column d of row `lane`, for the columns in the words from `word` on.
HWY_INLINE void StoreWords(const Words& words, std::int64_t word, const float*, float* dst,
                           std::int64_t stride) {
  for (std::int64_t i = 0; i < kTransposeWords; ++i) {
    StoreF32(hn::BitCast(DF(), words[i]), dst + (word + i) * stride);
  }
}

/// Words of two bf16, the earlier in the lower half.
HWY_INLINE void StoreWords(const Words& words, std::int64_t word, const std::uint16_t*, float* dst,
                           std::int64_t stride) {
  for (std::int64_t i = 0; i < kTransposeWords; ++i) {
    float* const to = dst + 2 * (word + i) * stride;
    StoreF32(hn::BitCast(DF(), hn::ShiftLeft<16>(words[i])), to);
    StoreF32(hn::BitCast(DF(), hn::And(words[i], hn::Set(DU(), 0xFFFF0000u))), to + stride);
  }
}

/// Columns from 0 on of kTransposeRows rows; answers how many were done, the most that whole words
/// allow.
template <typename T>
HWY_INLINE std::int64_t TransposeWhole(const T* const* rows, std::int64_t dims, float* dst,
                                       std::int64_t stride) {
  constexpr auto kPerWord = static_cast<std::int64_t>(sizeof(std::uint32_t) / sizeof(T));
  const std::uint32_t* words[kVectorLanes];
  for (std::size_t i = 0; i < kVectorLanes; ++i) {
    words[i] = reinterpret_cast<const std::uint32_t*>(rows[i]);
  }
  std::int64_t word = 0;
  for (; (word + kTransposeWords) * kPerWord <= dims; word += kTransposeWords) {
    StoreWords(TransposeWords(words, word), word, static_cast<const T*>(nullptr), dst, stride);
  }
  return word * kPerWord;
}
#else
template <typename T>
HWY_INLINE std::int64_t TransposeWhole(const T* const*, std::int64_t, float*, std::int64_t) {
  return 0;
}
#endif

/// dst[d * stride + j] = rows[j][d] for j < count, d < dims, widened. Lanes from `count` to the
/// next multiple of kTransposeRows are written too, with what row count - 1 holds.
template <typename T>
HWY_INLINE void TransposeRows(const T* const* rows, std::int64_t count, std::int64_t dims,
                              float* dst, std::int64_t stride) {
  for (std::int64_t j = 0; j < count; j += kTransposeRows) {
    const T* together[kVectorLanes];
    for (std::int64_t i = 0; i < kTransposeRows; ++i)
      together[i] = rows[std::min(j + i, count - 1)];
    for (std::int64_t d = TransposeWhole(together, dims, dst + j, stride); d < dims; ++d) {
      for (std::int64_t i = 0; i < kTransposeRows; ++i) {
        dst[d * stride + j + i] = ToFloat(together[i][d]);
      }
    }
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace moesaic::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
