#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

/// bf16 weights in 12 bits, without loss. The weights of a trained matrix have few exponents (2.6
/// bits of information in 8: DFloat11, arXiv 2504.11651), so their upper bytes, sign and seven bits
/// of exponent, have few values. A weight is kept as its lower byte and the number of its upper
/// byte among the sixteen most frequent of the matrix; the few others are exceptions, listed with
/// each panel. What is bound by memory then reads three quarters of the bytes and computes the same
/// bits.
///
/// A panel [k][16] is k / 8 records of 192 bytes: of each half of four inputs the 64 lower bytes,
/// then the numbers of both halves, the first half's in the lower four bits. Bytes lie such that
/// interleaving lower and upper ones gives the pairs of inputs that bf16 dot products take
/// (PlaceInHalf).
namespace moesaic::kernels::bf16_code {

inline constexpr std::int64_t kRecordInputs = 8;
inline constexpr std::int64_t kRecordBytes = 192;
inline constexpr std::int64_t kHalfInputs = 4;
inline constexpr std::int64_t kHalfBytes = 64;
/// Where a record's numbers begin.
inline constexpr std::int64_t kNumbersAt = 2 * kHalfBytes;
/// Most inputs that an exception can tell apart.
inline constexpr std::int64_t kMaxInputs = std::int64_t{1} << 20;

/// [number]: an upper byte.
using UpperBytes = std::array<std::uint8_t, 16>;
/// [upper byte]: its number, or kNoNumber.
using Numbers = std::array<std::uint8_t, 256>;
inline constexpr std::uint8_t kNoNumber = 16;

/// A weight whose upper byte has no number: (input * 16 + output) << 8 | upper byte ^ that of
/// number 0, which stands in its place. A panel's are ascending, kNoException after the last.
using Exception = std::uint32_t;
inline constexpr Exception kNoException = ~Exception{0};

/// What the panels of a coded matrix share. Borrowed.
struct Side {
  const std::uint8_t* upper_bytes = nullptr;  ///< UpperBytes
  const Exception* exceptions = nullptr;      ///< [panels][ExceptionsOf(k)]
};

/// Whether an [n, k] matrix can be coded: of whole panels and records.
bool HasForm(std::int64_t n, std::int64_t k);
/// Room for exceptions in a panel of k inputs: one weight in 512, in whole vectors.
constexpr std::int64_t ExceptionsOf(std::int64_t k) { return (k / 32 + 15) / 16 * 16; }
/// Bytes of all records of an [n, k] matrix, and of its Side in one piece: upper bytes, exceptions.
std::array<std::size_t, 2> PartBytes(std::int64_t n, std::int64_t k);
Side SideOf(const void* part);

/// The most frequent of the upper bytes that counts [upper byte] counts.
UpperBytes MostFrequent(const std::array<std::int64_t, 256>& counts);
Numbers NumbersOf(const UpperBytes& upper_bytes);

/// Codes a panel [k][16]. False when it has more exceptions than there is room for.
bool EncodePanel(const std::uint16_t* panel, std::int64_t k, const UpperBytes& upper_bytes,
                 const Numbers& numbers, std::uint8_t* records, Exception* exceptions);
/// A weight of a panel.
std::uint16_t DecodeOne(const std::uint8_t* records, const std::uint8_t* upper_bytes,
                        const Exception* exceptions, std::int64_t k, std::int64_t input,
                        std::int64_t output);

/// Where the byte of a weight of a half lies among its 64.
constexpr int PlaceInHalf(int input, int output) {
  return output / 4 * 16 + input / 2 * 8 + output % 4 * 2 + (input % 2 == 0 ? 1 : 0);
}

/// Calls flip(input - first, output, bits) for the exceptions among inputs [first, first + count)
/// of a panel of k: `bits` are to be flipped in the upper byte.
template <class Flip>
void ForExceptions(const Exception* exceptions, std::int64_t k, std::int64_t first,
                   std::int64_t count, Flip flip) {
  for (std::int64_t i = 0; i < ExceptionsOf(k); ++i) {
    const std::int64_t place = std::int64_t{exceptions[i] >> 8} - first * 16;
    if (place >= count * 16) return;
    if (place >= 0) flip(place / 16, place % 16, static_cast<std::uint8_t>(exceptions[i]));
  }
}

}  // namespace moesaic::kernels::bf16_code
