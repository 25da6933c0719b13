#include "kernels/bf16_code.h"

#include <algorithm>
#include <numeric>

#include "kernels/packed_matrix.h"

namespace moesaic::kernels::bf16_code {
namespace {

constexpr std::int64_t kPanel = PackedMatrix::kPanel;
static_assert(kPanel == 16 && kRecordBytes == kRecordInputs * kPanel * 3 / 2);
static_assert((kMaxInputs - 1) * kPanel <= kNoException >> 8);

}  // namespace

bool HasForm(std::int64_t n, std::int64_t k) {
  return n > 0 && n % kPanel == 0 && k > 0 && k % kRecordInputs == 0 && k < kMaxInputs;
}

std::array<std::size_t, 2> PartBytes(std::int64_t n, std::int64_t k) {
  const auto panels = static_cast<std::size_t>(n / kPanel);
  return {panels * (k / kRecordInputs) * kRecordBytes,
          sizeof(UpperBytes) + panels * ExceptionsOf(k) * sizeof(Exception)};
}

Side SideOf(const void* part) {
  const auto* const upper_bytes = static_cast<const std::uint8_t*>(part);
  return {upper_bytes, reinterpret_cast<const Exception*>(upper_bytes + sizeof(UpperBytes))};
}

UpperBytes MostFrequent(const std::array<std::int64_t, 256>& counts) {
  std::array<std::uint8_t, 256> order;
  std::iota(order.begin(), order.end(), std::uint8_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint8_t a, std::uint8_t b) { return counts[a] > counts[b]; });
  UpperBytes upper_bytes;
  std::copy_n(order.begin(), upper_bytes.size(), upper_bytes.begin());
  return upper_bytes;
}

Numbers NumbersOf(const UpperBytes& upper_bytes) {
  Numbers numbers;
  numbers.fill(kNoNumber);
  for (std::size_t i = 0; i < upper_bytes.size(); ++i) {
    numbers[upper_bytes[i]] = static_cast<std::uint8_t>(i);
  }
  return numbers;
}

bool EncodePanel(const std::uint16_t* panel, std::int64_t k, const UpperBytes& upper_bytes,
                 const Numbers& numbers, std::uint8_t* records, Exception* exceptions) {
  const std::int64_t room = ExceptionsOf(k);
  std::fill_n(exceptions, room, kNoException);
  std::int64_t found = 0;
  std::uint8_t number_of[2][kHalfBytes];
  for (std::int64_t half = 0; half < k / kHalfInputs; ++half) {
    std::uint8_t* const record = records + half / 2 * kRecordBytes;
    for (int input = 0; input < kHalfInputs; ++input) {
      for (int output = 0; output < kPanel; ++output) {
        const std::int64_t index = (half * kHalfInputs + input) * kPanel + output;
        const int place = PlaceInHalf(input, output);
        const auto upper = static_cast<std::uint8_t>(panel[index] >> 8);
        record[half % 2 * kHalfBytes + place] = static_cast<std::uint8_t>(panel[index]);
        std::uint8_t number = numbers[upper];
        if (number == kNoNumber) {
          if (found == room) return false;
          exceptions[found++] = static_cast<Exception>(index) << 8 | (upper ^ upper_bytes[0]);
          number = 0;
        }
        number_of[half % 2][place] = number;
      }
    }
    if (half % 2 == 0) continue;
    for (int i = 0; i < kHalfBytes; ++i) {
      record[kNumbersAt + i] = static_cast<std::uint8_t>(number_of[0][i] | number_of[1][i] << 4);
    }
  }
  return true;
}

std::uint16_t DecodeOne(const std::uint8_t* records, const std::uint8_t* upper_bytes,
                        const Exception* exceptions, std::int64_t k, std::int64_t input,
                        std::int64_t output) {
  const std::int64_t half = input / kHalfInputs;
  const std::uint8_t* const record = records + half / 2 * kRecordBytes;
  const int place = PlaceInHalf(static_cast<int>(input % kHalfInputs), static_cast<int>(output));
  const std::uint8_t numbers = record[kNumbersAt + place];
  std::uint8_t upper = upper_bytes[half % 2 == 0 ? numbers & 15 : numbers >> 4];
  ExceptionCursor cursor(exceptions, k, half * kHalfInputs);
  for (; cursor.half() == 0; cursor.Advance()) {
    const bool this_one =
        cursor.input_in_half() == input % kHalfInputs && cursor.output() == output;
    if (this_one) upper ^= static_cast<std::uint8_t>(cursor.bits());
  }
  return static_cast<std::uint16_t>(upper << 8 | record[half % 2 * kHalfBytes + place]);
}

}  // namespace moesaic::kernels::bf16_code
