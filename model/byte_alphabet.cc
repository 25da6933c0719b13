#include "model/byte_alphabet.h"

#include <array>
#include <cstddef>

#include "model/utf8.h"

namespace moesaic::model {
namespace {

constexpr std::size_t kSpellings = 0x144;

struct Alphabet {
  std::array<char16_t, 256> spelling{};
  std::array<std::int16_t, kSpellings> byte{};
};

/// openai/gpt-2 src/encoder.py, bytes_to_unicode: printable Latin-1 bytes stand for themselves, the
/// others take the characters from U+0100 on in order.
constexpr Alphabet MakeAlphabet() {
  Alphabet alphabet;
  for (auto& byte : alphabet.byte) byte = -1;
  char16_t next = 0x100;
  for (int b = 0; b < 256; ++b) {
    const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
    const char16_t spelling = printable ? static_cast<char16_t>(b) : next++;
    alphabet.spelling[b] = spelling;
    alphabet.byte[spelling] = static_cast<std::int16_t>(b);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = MakeAlphabet();

std::optional<int> HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return std::nullopt;
}

}  // namespace

void AppendByteSpelling(std::string_view bytes, std::string& out) {
  for (const char c : bytes) AppendUtf8(kAlphabet.spelling[static_cast<unsigned char>(c)], out);
}

std::optional<std::string> BytesFromSpelling(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const char32_t c = NextChar(text, i);
    if (c >= kSpellings || kAlphabet.byte[c] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(kAlphabet.byte[c]));
  }
  return bytes;
}

std::optional<char> ByteFromToken(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
  const std::optional<int> high = HexDigit(token[3]);
  const std::optional<int> low = HexDigit(token[4]);
  if (!high || !low) return std::nullopt;
  return static_cast<char>(*high * 16 + *low);
}

}  // namespace moesaic::model
