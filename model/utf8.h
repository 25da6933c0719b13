#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace moesaic::model {

/// U+FFFD, what stands for bytes that are not UTF-8.
inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

/// One step over UTF-8 text.
struct Utf8Char {
  /// The scalar value; meaningful only when `valid`.
  char32_t value = 0;
  /// Bytes consumed, at least 1. For invalid input: the maximal subpart that one U+FFFD replaces
  /// (Unicode 15, section 3.9).
  std::size_t length = 1;
  bool valid = false;
  /// The text ended inside a sequence that further bytes could have completed.
  bool incomplete = false;
};

/// Reads the character at the start of `text`, which is not empty.
Utf8Char ReadUtf8(std::string_view text);
/// Reads the character at `offset` of text that is known to be valid and advances `offset`.
char32_t NextChar(std::string_view text, std::size_t& offset);
/// The offset where the character that ends before `offset` > 0 starts; valid text only.
std::size_t PreviousCharStart(std::string_view text, std::size_t offset);

bool IsValidUtf8(std::string_view text);
bool IsAscii(std::string_view text);
void AppendUtf8(char32_t value, std::string& out);
std::u32string ToUtf32(std::string_view valid_text);
std::string ToUtf8(std::u32string_view text);
/// Characters in valid text.
std::size_t CountChars(std::string_view valid_text);

/// Appends `bytes` with every maximal invalid subpart replaced by U+FFFD. When `at_end` is false,
/// an incomplete sequence at the end is left out. Returns how many bytes were dealt with.
std::size_t AppendLossy(std::string_view bytes, bool at_end, std::string& out);

/// The Unicode property White_Space.
bool IsWhiteSpace(char32_t value);

}  // namespace moesaic::model
