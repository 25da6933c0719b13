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

/// Whether kernels read coded weights faster than plain ones here, and no slower with many rows: on
/// AVX-512, where there are registers enough.
bool IsFaster();

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

/// The exceptions of a panel of k inputs, from input `first` on, which begins a half.
class ExceptionCursor {
 public:
  ExceptionCursor() = default;
  ExceptionCursor(const Exception* exceptions, std::int64_t k, std::int64_t first)
      : next_(exceptions), end_(exceptions + ExceptionsOf(k)), first_(first) {
    const auto begin = static_cast<Exception>(first * 16) << 8;
    while (next_ != end_ && *next_ < begin) ++next_;
    FindHalf();
  }

  /// The first input, counted from `first`, of the half that has the next exception; beyond all
  /// inputs when there is none.
  std::int64_t half() const { return half_; }
  // Requires: there is a next one.
  std::int64_t input_in_half() const { return *next_ >> 12 & 3; }
  std::int64_t output() const { return *next_ >> 8 & 15; }
  /// What is to be flipped in its upper byte.
  std::uint32_t bits() const { return *next_ & 0xFF; }
  void Advance() {
    ++next_;
    FindHalf();
  }

 private:
  void FindHalf() {
    const Exception next = next_ == end_ ? kNoException : *next_;
    half_ = (next >> 12) / kHalfInputs * kHalfInputs - first_;
  }

  const Exception* next_ = nullptr;
  const Exception* end_ = nullptr;
  std::int64_t first_ = 0;
  std::int64_t half_ = 0;
};

}  // namespace moesaic::kernels::bf16_code
