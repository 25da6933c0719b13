// Decoding coded bf16 (kernels/bf16_code.h) to f32, per target: include inside the part of a file
// that Highway compiles once per target.
#include <cstdint>

#include "kernels/bf16_code.h"
#include "kernels/simd_math-inl.h"

#if defined(MOESAIC_KERNELS_BF16_CODE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MOESAIC_KERNELS_BF16_CODE_INL_H_
#undef MOESAIC_KERNELS_BF16_CODE_INL_H_
#else
#define MOESAIC_KERNELS_BF16_CODE_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace moesaic::kernels {
namespace HWY_NAMESPACE {

using VU = hn::Vec<DU>;

/// The weights of a half's inputs for the outputs of one vector, as pairs of inputs: the earlier
/// one's above the later one's.
struct HalfPairs {
  VU pair[2];

  /// Of input i of the four, in f32.
  template <int kInput>
  HWY_INLINE VF Input() const {
    const VU both = pair[kInput / 2];
    if constexpr (kInput % 2 == 1) return hn::BitCast(DF(), hn::ShiftLeft<16>(both));
    return hn::BitCast(DF(), hn::And(both, hn::Set(DU(), 0xFFFF0000u)));
  }
};

/// Those for outputs [v * kVectorLanes, (v + 1) * kVectorLanes) of half 0 or 1 of a record,
/// exceptions aside.
HWY_INLINE HalfPairs LoadHalf(const std::uint8_t* record, std::int64_t half, std::int64_t v,
                              const std::uint8_t* upper_bytes) {
#if HWY_TARGET == HWY_SCALAR
  const auto one = [&](std::int64_t input) {
    return bf16_code::DecodeOne(record, upper_bytes, nullptr, 0,
                                half * bf16_code::kHalfInputs + input, v);
  };
  const auto pair = [&](std::int64_t input) {
    return hn::Set(DU(), std::uint32_t{one(input)} << 16 | one(input + 1));
  };
  return {{pair(0), pair(2)}};
#else
  const hn::Repartition<std::uint8_t, DF> d8;
  const hn::Repartition<std::uint16_t, DF> d16;
  const std::int64_t at = v * static_cast<std::int64_t>(kVectorLanes * sizeof(float));
  const auto lower = hn::LoadU(d8, record + half * bf16_code::kHalfBytes + at);
  auto numbers = hn::LoadU(d8, record + bf16_code::kNumbersAt + at);
  if (half != 0) numbers = hn::BitCast(d8, hn::ShiftRight<4>(hn::BitCast(d16, numbers)));
  const auto upper =
      hn::TableLookupBytes(hn::LoadDup128(d8, upper_bytes), hn::And(numbers, hn::Set(d8, 15)));
  return {{hn::BitCast(DU(), hn::InterleaveLower(d8, lower, upper)),
           hn::BitCast(DU(), hn::InterleaveUpper(d8, lower, upper))}};
#endif
}

/// The same with those exceptions of the half that `cursor` is at.
HWY_INLINE HalfPairs WithExceptions(const HalfPairs& half, std::int64_t v,
                                    bf16_code::ExceptionCursor cursor) {
  HWY_ALIGN std::uint32_t words[2][kVectorLanes];
  for (int i = 0; i < 2; ++i) hn::StoreU(half.pair[i], DU(), words[i]);
  for (const std::int64_t here = cursor.half(); cursor.half() == here; cursor.Advance()) {
    const auto lane = static_cast<std::size_t>(cursor.output() - v * kVectorLanes);
    const std::int64_t input = cursor.input_in_half();
    if (lane < kVectorLanes) words[input / 2][lane] ^= cursor.bits() << (input % 2 == 0 ? 24 : 8);
  }
  return {{hn::LoadU(DU(), words[0]), hn::LoadU(DU(), words[1])}};
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace moesaic::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
